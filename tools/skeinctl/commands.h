// The sub-commands of skeinctl.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/skeinctl/http_client.h"
#include "tools/skeinctl/options.h"

namespace skein::ctl {

// Where a command reads and writes; in main, the process's own streams.
struct Terminal {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  bool interactive = false;  // `in` is a person: show prompts
};

struct Command {
  const char* name;
  const char* summary;  // one line
  absl::Status (*run)(const std::vector<std::string>& args, Terminal& terminal);
};

absl::Status RunChat(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunComplete(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunModels(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunTokenize(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunStates(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunMixtures(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunAdapters(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunKeys(const std::vector<std::string>& args, Terminal& terminal);
absl::Status RunBench(const std::vector<std::string>& args, Terminal& terminal);

// Runs the command that `args` name. Returns the exit status: 0 fine, 1 failed, 2 used wrongly.
int RunSkeinctl(const std::vector<std::string>& args, Terminal& terminal);

// Where and as whom to call.
absl::StatusOr<Url> UrlOf(const ServerOptions& server);

// `status` with what can be done about it, when the server at `url` cannot be reached.
absl::Status Explain(const absl::Status& status, const std::string& url);

// The text of a command's --help.
std::string HelpText(absl::string_view usage, absl::string_view details,
                     const std::vector<Option>& options);

}  // namespace skein::ctl
