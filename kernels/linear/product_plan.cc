#include "kernels/linear/product_plan.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace skein {
namespace {

constexpr int kWordDigits = 16;  // hexadecimal, of a word of an algorithm

std::optional<ProductPlan> ParseTile(const std::vector<std::string>& words) {
  ProductPlan plan;
  plan.tiles = true;
  ProductTile& tile = plan.tile;
  if (words.size() != 7 || !absl::SimpleAtoi(words[1], &tile.rows) ||
      !absl::SimpleAtoi(words[2], &tile.outputs) || !absl::SimpleAtoi(words[3], &tile.split) ||
      !absl::SimpleAtob(words[4], &tile.pair) || !absl::SimpleAtoi(words[5], &tile.blocks) ||
      !absl::SimpleAtob(words[6], &tile.mixed)) {
    return std::nullopt;
  }
  const std::span<const ProductTile> known = ProductTiles();
  if (std::find(known.begin(), known.end(), tile) == known.end()) return std::nullopt;
  return plan;
}

std::optional<ProductPlan> ParseLibrary(const std::vector<std::string>& words) {
  ProductPlan plan;
  if (words.size() != 2 || words[1].size() != plan.algorithm.size() * kWordDigits) {
    return std::nullopt;
  }
  for (size_t i = 0; i < plan.algorithm.size(); ++i) {
    const std::string word = words[1].substr(i * kWordDigits, kWordDigits);
    if (!absl::SimpleHexAtoi(word, &plan.algorithm[i])) return std::nullopt;
  }
  return plan;
}

}  // namespace

std::string PlanText(const ProductPlan& plan) {
  if (plan.tiles) {
    return absl::StrCat("tile ", plan.tile.rows, " ", plan.tile.outputs, " ", plan.tile.split, " ",
                        plan.tile.pair, " ", plan.tile.blocks, " ", plan.tile.mixed);
  }
  std::string text = "library ";
  for (const uint64_t word : plan.algorithm) absl::StrAppendFormat(&text, "%016x", word);
  return text;
}

std::optional<ProductPlan> ParsePlan(absl::string_view text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  if (words[0] == "tile") return ParseTile(words);
  if (words[0] == "library") return ParseLibrary(words);
  return std::nullopt;
}

}  // namespace skein
