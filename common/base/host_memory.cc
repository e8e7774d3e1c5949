#include "common/base/host_memory.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace skein {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The number that follows `key` on a line of its own.
std::optional<int64_t> Field(absl::string_view text, absl::string_view key) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t value = 0;
    if (words.size() >= 2 && words[0] == key && absl::SimpleAtoi(words[1], &value)) return value;
  }
  return std::nullopt;
}

std::optional<int64_t> Number(absl::string_view text) {
  int64_t value = 0;
  if (absl::SimpleAtoi(text, &value)) return value;
  return std::nullopt;  // "max", or no such file
}

// What is cached of files is given up when memory is wanted.
int64_t LeftInGroup(const std::string& folder) {
  const std::optional<int64_t> limit = Number(ReadFile(folder + "/memory.max"));
  const std::optional<int64_t> used = Number(ReadFile(folder + "/memory.current"));
  if (!limit.has_value() || !used.has_value()) return std::numeric_limits<int64_t>::max();
  const std::string stat = ReadFile(folder + "/memory.stat");
  const int64_t cached =
      Field(stat, "inactive_file").value_or(0) + Field(stat, "active_file").value_or(0);
  return std::max<int64_t>(*limit - *used + cached, 0);
}

// Within the file system of control groups: "" at its top, where containers find themselves.
std::string OwnGroup(const std::string& proc) {
  for (absl::string_view line : absl::StrSplit(ReadFile(proc + "/self/cgroup"), '\n')) {
    if (!absl::ConsumePrefix(&line, "0::")) continue;
    return std::string(absl::StripSuffix(line, "/"));
  }
  return "";
}

}  // namespace

int64_t AvailableHostBytes(const std::string& proc, const std::string& cgroups) {
  const std::optional<int64_t> kilobytes = Field(ReadFile(proc + "/meminfo"), "MemAvailable:");
  if (!kilobytes.has_value()) return 0;
  int64_t available = *kilobytes * 1024;
  std::string group = OwnGroup(proc);
  while (true) {  // every group above sets a limit as well
    available = std::min(available, LeftInGroup(cgroups + group));
    if (group.empty()) return available;
    group.resize(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

}  // namespace skein
