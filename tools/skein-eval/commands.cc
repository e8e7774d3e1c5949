#include "tools/skein-eval/commands.h"

#include <ostream>

#include "absl/strings/str_format.h"

namespace skein::eval {
namespace {

constexpr Command kCommands[] = {
    {"logits", "write the logits after each of some tokens", RunLogits},
    {"perplexity", "how well a model predicts a text", RunPerplexity},
    {"compare", "whether a backend answers prompts as the CPU does", RunCompare},
    {"make-model", "write a model of a real shape with random weights", RunMakeModel},
};

std::string Overview() {
  std::string text =
      "skein-eval: works on model files, without a server\n\n"
      "usage: skein-eval COMMAND [OPTIONS]\n\n";
  for (const Command& command : kCommands) {
    absl::StrAppendFormat(&text, "  %-12s %s\n", command.name, command.summary);
  }
  absl::StrAppend(&text,
                  "\nskein-eval COMMAND --help shows the options of a command.\n"
                  "Exit status: 0 fine, 1 failed, 2 used wrongly.\n");
  return text;
}

}  // namespace

int RunSkeinEval(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    (args.empty() ? err : out) << Overview();
    return args.empty() ? 2 : 0;
  }
  for (const Command& command : kCommands) {
    if (args[0] != command.name) continue;
    const absl::Status status = command.run({args.begin() + 1, args.end()}, out);
    out.flush();
    if (status.ok()) return 0;
    err << "skein-eval " << command.name << ": " << std::string(status.message()) << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  err << "skein-eval: no command \"" << args[0] << "\"\n\n" << Overview();
  return 2;
}

}  // namespace skein::eval
