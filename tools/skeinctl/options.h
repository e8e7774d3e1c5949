// Options of a sub-command: one table says what there is, for parsing and for --help.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace skein::ctl {

struct Option {
  std::string name;   // without the dashes
  std::string value;  // what stands for the value in the help; empty for a switch
  std::string help;
  std::function<absl::Status(const std::string&)> set;
};

// Each writes to `out`, which must outlive the option. Numbers outside [min, max] are
// InvalidArgument.
Option TextOption(std::string name, std::string value, std::string help, std::string* out);
Option IntOption(std::string name, std::string value, std::string help, int64_t min, int64_t max,
                 std::function<void(int64_t)> set);
Option NumberOption(std::string name, std::string value, std::string help, double min, double max,
                    std::function<void(double)> set);
Option SwitchOption(std::string name, std::string help, bool* out);

struct ParsedArgs {
  std::vector<std::string> positional;
  bool help = false;  // --help or -h was there
};

// Accepts --name=VALUE, --name VALUE, --switch and -- before arguments that begin with a dash.
// InvalidArgument for an unknown option or a bad value.
absl::StatusOr<ParsedArgs> ParseArgs(const std::vector<std::string>& args,
                                     const std::vector<Option>& options);

// The lines of --help that describe `options`.
std::string DescribeOptions(const std::vector<Option>& options);

// Where the server is and what it should run: the options that all sub-commands share.
struct ServerOptions {
  std::string url = "http://127.0.0.1:8080";
  std::string api_key;  // empty: $SKEIN_API_KEY, if it is set
  std::string model;
};
std::vector<Option> ServerOptionTable(ServerOptions& out);

// How to generate: shared by chat and complete.
struct GenerateOptions {
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::string state;
  std::string adapter;
  std::optional<int64_t> max_tokens;
  std::optional<int64_t> seed;
};
std::vector<Option> GenerateOptionTable(GenerateOptions& out);

}  // namespace skein::ctl
