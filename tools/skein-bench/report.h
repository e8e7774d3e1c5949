// Results as a table for people and as JSON for programs.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"

namespace skein::bench {

// A number, a text or a verdict, and how many decimals the table shows of it.
struct Field {
  std::string name;
  std::variant<int64_t, double, std::string, bool> value;
  int decimals = 2;
  bool in_table = true;  // else in the JSON alone
};
using Line = std::vector<Field>;

// Prints lines as they come. Consecutive lines of the same fields share one heading.
class Report {
 public:
  // `about` says what was measured where; it stands above the table and in the JSON.
  Report(std::ostream& out, Line about);

  void Add(Line line);
  // {"about": {..}, "lines": [{..}, ..]}. Unavailable if the file cannot be written.
  absl::Status WriteJson(const std::string& path) const;

 private:
  std::ostream& out_;
  const Line about_;
  std::vector<Line> lines_;
  std::string heading_;
};

}  // namespace skein::bench
