// Every #include of the tree against layers.txt: includes point one way only.
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"

#include "tests/testing/golden.h"

namespace skein {
namespace {

namespace fs = std::filesystem;

using Layers = std::map<std::string, std::vector<std::string>>;

constexpr const char* kRoots[] = {"common", "kernels", "worker", "gateway", "tools"};

Layers ParseLayers(const std::string& text) {
  Layers layers;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty() || line[0] == '#') continue;
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (parts.size() != 2) continue;
    layers[parts[0]] = absl::StrSplit(parts[1], ' ', absl::SkipEmpty());
  }
  return layers;
}

bool Covers(absl::string_view allowed, absl::string_view included) {
  if (absl::ConsumeSuffix(&allowed, "*")) return absl::StartsWith(included, allowed);
  if (allowed == "proto")
    return absl::StartsWith(included, "skein/") || absl::StartsWith(included, "grpc/health/");
  return included == allowed || absl::StartsWith(included, absl::StrCat(allowed, "/"));
}

// The line for the file itself, or for the nearest folder above it; nullptr if none.
const std::pair<const std::string, std::vector<std::string>>* RuleFor(const Layers& layers,
                                                                      const std::string& file) {
  for (fs::path path = file; !path.empty(); path = path.parent_path()) {
    const auto it = layers.find(path.string());
    if (it != layers.end()) return &*it;
  }
  return nullptr;
}

// Empty if `file` may include `included`, else why not.
std::string Violation(const Layers& layers, const std::string& file, const std::string& included) {
  const auto* rule = RuleFor(layers, file);
  if (rule == nullptr) return absl::StrCat(file, ": no line of layers.txt covers it");
  const std::string folder = fs::path(file).parent_path().string();
  if (Covers(folder, included)) return "";
  for (const std::string& allowed : rule->second) {
    if (Covers(allowed, included)) return "";
  }
  return absl::StrCat(file, ": includes ", included, ", which '", rule->first, "' may not");
}

bool IsSource(const fs::path& path) {
  static const std::set<std::string> extensions = {".h", ".cc", ".cu", ".cuh"};
  return extensions.count(path.extension().string()) > 0;
}

std::vector<std::string> QuotedIncludes(const std::string& path) {
  std::vector<std::string> includes;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    absl::string_view rest = line;
    if (!absl::ConsumePrefix(&rest, "#include \"")) continue;
    includes.emplace_back(rest.substr(0, rest.find('"')));
  }
  return includes;
}

// Third-party headers are written in quotes, too; only the tree's own folders and generated code
// are judged.
bool IsOurs(absl::string_view included) {
  if (Covers("proto", included)) return true;
  for (const char* root : kRoots) {
    if (Covers(root, included)) return true;
  }
  return false;
}

TEST(LayeringTest, IncludesPointUpwardsOnly) {
  const Layers layers = ParseLayers(ReadFileOrDie(SourcePath("tests/layering/layers.txt")));
  ASSERT_GT(layers.size(), 10u);
  const fs::path top = SourcePath("");
  int files = 0;
  for (const char* root : kRoots) {
    for (const auto& entry : fs::recursive_directory_iterator(top / root)) {
      if (!entry.is_regular_file() || !IsSource(entry.path())) continue;
      ++files;
      const std::string file = fs::relative(entry.path(), top).string();
      for (const std::string& included : QuotedIncludes(entry.path())) {
        if (!IsOurs(included)) continue;
        const std::string violation = Violation(layers, file, included);
        EXPECT_TRUE(violation.empty()) << violation;
      }
    }
  }
  EXPECT_GT(files, 20);
}

TEST(LayeringTest, ADownwardIncludeIsFound) {
  const Layers layers =
      ParseLayers("kernels: common/base\nworker/rpc: common/* worker/engine proto\n");
  EXPECT_EQ(Violation(layers, "kernels/wkv7/wkv7.cc", "common/base/log.h"), "");
  EXPECT_NE(Violation(layers, "kernels/wkv7/wkv7.cc", "worker/models/model.h"), "");
  EXPECT_EQ(Violation(layers, "worker/rpc/server.cc", "skein/v1/workers.pb.h"), "");
  EXPECT_NE(Violation(layers, "worker/rpc/server.cc", "kernels/sample/sample.h"), "");
  EXPECT_NE(Violation(layers, "gateway/http/http_server.cc", "common/base/log.h"), "");
}

}  // namespace
}  // namespace skein
