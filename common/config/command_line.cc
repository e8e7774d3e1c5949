#include "common/config/command_line.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

const Flag* FindFlag(const std::vector<FlagGroup>& groups, const std::string& name) {
  for (const FlagGroup& group : groups) {
    for (const Flag& flag : group.flags) {
      if (flag.name == name) return &flag;
    }
  }
  return nullptr;
}

std::string Synopsis(const Flag& flag) {
  return flag.value.empty() ? absl::StrCat("--", flag.name)
                            : absl::StrCat("--", flag.name, " ", flag.value);
}

absl::Status Apply(const Flag& flag, const std::string& value) {
  const absl::Status status = flag.set(value);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("--", flag.name, ": ", status.message()));
}

}  // namespace

absl::Status ParseFlags(const std::vector<std::string>& args,
                        const std::vector<FlagGroup>& groups) {
  for (size_t i = 0; i < args.size(); ++i) {
    if (!absl::StartsWith(args[i], "--") || args[i].size() == 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", args[i], "\" is not a flag: they begin with two dashes"));
    }
    const size_t equals = args[i].find('=');
    const std::string name = args[i].substr(2, equals == std::string::npos ? equals : equals - 2);
    const Flag* flag = FindFlag(groups, name);
    if (flag == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("--", name, ": unknown flag"));
    if (equals != std::string::npos) {
      if (flag->value.empty()) {
        return absl::InvalidArgumentError(absl::StrCat("--", name, ": takes no value"));
      }
      RETURN_IF_ERROR(Apply(*flag, args[i].substr(equals + 1)));
      continue;
    }
    if (!flag->value.empty() && i + 1 == args.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", name, ": the value is missing, expected ", Synopsis(*flag)));
    }
    RETURN_IF_ERROR(Apply(*flag, flag->value.empty() ? "" : args[++i]));
  }
  return absl::OkStatus();
}

std::string FormatFlags(const std::vector<FlagGroup>& groups) {
  size_t width = 0;
  for (const FlagGroup& group : groups) {
    for (const Flag& flag : group.flags) width = std::max(width, Synopsis(flag).size());
  }
  std::string text;
  for (const FlagGroup& group : groups) {
    absl::StrAppend(&text, text.empty() ? "" : "\n", group.title, ":\n");
    for (const Flag& flag : group.flags) {
      std::string left = Synopsis(flag);
      for (const absl::string_view line : absl::StrSplit(flag.help, '\n')) {
        left.resize(width, ' ');
        absl::StrAppend(&text, "  ", left, "  ", line, "\n");
        left.clear();
      }
    }
  }
  return text;
}

std::function<absl::Status(const std::string&)> SetUint32(std::function<void(uint32_t)> store) {
  return [store = std::move(store)](const std::string& value) {
    uint32_t number = 0;
    if (!absl::SimpleAtoi(value, &number)) {
      return absl::InvalidArgumentError(absl::StrCat("\"", value, "\", expected a whole number"));
    }
    store(number);
    return absl::OkStatus();
  };
}

std::function<absl::Status(const std::string&)> SetSwitch(std::function<void(bool)> store) {
  return [store = std::move(store)](const std::string& value) {
    if (value != "on" && value != "off") {
      return absl::InvalidArgumentError(absl::StrCat("\"", value, "\", expected on or off"));
    }
    store(value == "on");
    return absl::OkStatus();
  };
}

}  // namespace skein
