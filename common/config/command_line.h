// Command lines of the processes: a table of flags, each with what it does to a configuration.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace skein {

struct Flag {
  std::string name;  // without the dashes
  std::string
      value;  // what stands for the value in the help, such as "PATH"; empty: the flag takes none
  std::string help;  // one line, or several
  // Called with the value, or with "" for a flag without one. An error is given to the user.
  std::function<absl::Status(const std::string& value)> set;
};

// A title and the flags below it, as the help shows them.
struct FlagGroup {
  std::string title;
  std::vector<Flag> flags;
};

// Applies `args`, which has no program name: `--name value` or `--name=value`, later ones last.
// InvalidArgument for an unknown flag, a missing or unwanted value, an argument that is no flag, or
// what a flag's `set` refuses.
absl::Status ParseFlags(const std::vector<std::string>& args, const std::vector<FlagGroup>& groups);

// Titles, flags and their help in two columns.
std::string FormatFlags(const std::vector<FlagGroup>& groups);

// For `set`: a whole number from 0 to 2^32 - 1.
std::function<absl::Status(const std::string&)> SetUint32(std::function<void(uint32_t)> store);
// For `set`: on or off.
std::function<absl::Status(const std::string&)> SetSwitch(std::function<void(bool)> store);

}  // namespace skein
