#include "tools/skein-bench/commands.h"

#include <ostream>

#include "absl/strings/str_format.h"

namespace skein::bench {
namespace {

constexpr Command kCommands[] = {
    {"decode", "tokens per second of one step for batches of sequences", RunDecode},
    {"prefill", "tokens per second of feeding prompts", RunPrefill},
    {"kernel", "time of single operations", RunKernel},
    {"check", "whether the backend computes what the CPU computes", RunCheck},
    {"roofline", "what memory and arithmetic of this machine allow", RunRoofline},
};

std::string Overview() {
  std::string text =
      "skein-bench: measures the engine on random models of real shapes\n\n"
      "usage: skein-bench COMMAND [OPTIONS]\n\n";
  for (const Command& command : kCommands) {
    absl::StrAppendFormat(&text, "  %-12s %s\n", command.name, command.summary);
  }
  absl::StrAppend(&text,
                  "\nskein-bench COMMAND --help shows the options of a command.\n"
                  "Exit status: 0 fine, 1 failed, 2 used wrongly.\n");
  return text;
}

}  // namespace

int RunSkeinBench(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    (args.empty() ? err : out) << Overview();
    return args.empty() ? 2 : 0;
  }
  for (const Command& command : kCommands) {
    if (args[0] != command.name) continue;
    const absl::Status status = command.run({args.begin() + 1, args.end()}, out);
    out.flush();
    if (status.ok()) return 0;
    err << "skein-bench " << command.name << ": " << std::string(status.message()) << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  err << "skein-bench: no command \"" << args[0] << "\"\n\n" << Overview();
  return 2;
}

}  // namespace skein::bench
