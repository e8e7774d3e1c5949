#include "tools/skeinctl/options.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"

namespace skein::ctl {
namespace {

const Option* Find(const std::vector<Option>& options, absl::string_view name) {
  for (const Option& option : options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

// Sets the option that `arg` names, from its own =VALUE or from `next`. True if it took `next`.
absl::StatusOr<bool> SetOption(absl::string_view arg, const std::string* next,
                               const std::vector<Option>& options) {
  const size_t equals = arg.find('=');
  const absl::string_view name = arg.substr(0, equals);
  const Option* option =
      absl::StartsWith(arg, "--") ? Find(options, absl::StripPrefix(name, "--")) : nullptr;
  if (option == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": unknown option; --help lists them"));
  }
  const bool has_value = equals != absl::string_view::npos;
  const bool wants_value = !option->value.empty();
  if (has_value && !wants_value) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": takes no value"));
  }
  if (wants_value && !has_value && next == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": a value is missing"));
  }
  const bool take_next = wants_value && !has_value;
  const std::string value =
      has_value ? std::string(arg.substr(equals + 1)) : (take_next ? *next : "");
  if (const absl::Status status = option->set(value); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", status.message()));
  }
  return take_next;
}

}  // namespace

Option TextOption(std::string name, std::string value, std::string help, std::string* out) {
  return {std::move(name), std::move(value), std::move(help), [out](const std::string& text) {
            *out = text;
            return absl::OkStatus();
          }};
}

Option IntOption(std::string name, std::string value, std::string help, int64_t min, int64_t max,
                 std::function<void(int64_t)> set) {
  auto parse = [min, max, set = std::move(set)](const std::string& text) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(text, &number) || number < min || number > max) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\", expected a whole number from ", min, " to ", max));
    }
    set(number);
    return absl::OkStatus();
  };
  return {std::move(name), std::move(value), std::move(help), std::move(parse)};
}

Option NumberOption(std::string name, std::string value, std::string help, double min, double max,
                    std::function<void(double)> set) {
  auto parse = [min, max, set = std::move(set)](const std::string& text) {
    double number = 0;
    if (!absl::SimpleAtod(text, &number) || !(number >= min && number <= max)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\", expected a number from ", min, " to ", max));
    }
    set(number);
    return absl::OkStatus();
  };
  return {std::move(name), std::move(value), std::move(help), std::move(parse)};
}

Option SwitchOption(std::string name, std::string help, bool* out) {
  return {std::move(name), "", std::move(help), [out](const std::string&) {
            *out = true;
            return absl::OkStatus();
          }};
}

absl::StatusOr<ParsedArgs> ParseArgs(const std::vector<std::string>& args,
                                     const std::vector<Option>& options) {
  ParsedArgs parsed;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--") {
      parsed.positional.insert(parsed.positional.end(),
                               args.begin() + static_cast<std::ptrdiff_t>(i) + 1, args.end());
      break;
    }
    if (arg == "--help" || arg == "-h") {
      parsed.help = true;
    } else if (arg.size() > 1 && arg[0] == '-') {
      const std::string* next = i + 1 < args.size() ? &args[i + 1] : nullptr;
      ASSIGN_OR_RETURN(const bool took_next, SetOption(arg, next, options));
      if (took_next) ++i;
    } else {
      parsed.positional.push_back(arg);
    }
  }
  return parsed;
}

std::string DescribeOptions(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options) {
    const std::string left = option.value.empty()
                                 ? absl::StrCat("--", option.name)
                                 : absl::StrCat("--", option.name, " ", option.value);
    absl::StrAppendFormat(&text, "  %-24s %s\n", left, option.help);
  }
  return text;
}

std::vector<Option> ServerOptionTable(ServerOptions& out) {
  return {TextOption("url", "URL", "the gateway (default http://127.0.0.1:8080)", &out.url),
          TextOption("api-key", "KEY", "default: $SKEIN_API_KEY, which no list of processes shows",
                     &out.api_key),
          TextOption("model", "NAME", "default: the only model that is served", &out.model)};
}

std::vector<Option> GenerateOptionTable(GenerateOptions& out) {
  return {
      NumberOption("temperature", "T",
                   "0 always takes the likeliest token (default: the server's, 1)", 0, 100,
                   [&out](double value) { out.temperature = value; }),
      NumberOption("top-p", "P", "draw from the likeliest tokens that make up this probability", 0,
                   1, [&out](double value) { out.top_p = value; }),
      TextOption("state", "NAME", "start from this tuned state, or mixture of them", &out.state),
      TextOption("adapter", "NAME", "with the weights that this adapter changes", &out.adapter),
      IntOption("max-tokens", "N", "stop after so many tokens", 1, 1 << 30,
                [&out](int64_t value) { out.max_tokens = value; }),
      IntOption("seed", "N", "the same seed gives the same answer", 0, INT64_MAX,
                [&out](int64_t value) { out.seed = value; }),
  };
}

}  // namespace skein::ctl
