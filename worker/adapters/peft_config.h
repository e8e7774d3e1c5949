// The adapter_config.json of the Hugging Face PEFT library.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein {

struct PeftConfig {
  enum class Blocks { kPlain, kMini, kBat };

  int64_t rank = 0;
  double alpha = 0;
  bool rank_stabilised = false;  // use_rslora: alpha / sqrt(rank)
  Blocks blocks = Blocks::kPlain;
  int64_t mini_width = 0;  // mini_r
  // Names whose last components select modules, and their values; the first that fits is taken.
  std::vector<std::pair<std::string, int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;

  // `module` as in the file or as a native name.
  int64_t RankOf(absl::string_view module) const;
  // The factor of B A for a module of this rank.
  double ScalingOf(absl::string_view module, int64_t rank) const;
};

// DataLoss if `text` is not a JSON object or a value is of the wrong kind or absurd; Unimplemented
// for methods and options that are not supported.
absl::StatusOr<PeftConfig> ParsePeftConfig(absl::string_view text);

}  // namespace skein
