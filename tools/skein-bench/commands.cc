#include "tools/skein-bench/commands.h"

#include "tools/skeinctl/command_table.h"

namespace skein::bench {

int RunSkeinBench(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  using Args = std::vector<std::string>;
  ctl::CommandTable table;
  table.program = "skein-bench";
  table.purpose = "measures the engine on random models of real shapes";
  table.synopsis = "COMMAND [OPTIONS]";
  table.closing = "\nExit status: 0 fine, 1 failed, 2 used wrongly.\n";
  table.commands = {
      {"decode", "tokens per second of one step for batches of sequences",
       [&out](const Args& args) { return RunDecode(args, out); }},
      {"prefill", "tokens per second of feeding prompts",
       [&out](const Args& args) { return RunPrefill(args, out); }},
      {"mixture", "what sequences that mix several states cost",
       [&out](const Args& args) { return RunMixture(args, out); }},
      {"kernel", "time of single operations",
       [&out](const Args& args) { return RunKernel(args, out); }},
      {"check", "whether the backend computes what the CPU computes",
       [&out](const Args& args) { return RunCheck(args, out); }},
      {"roofline", "what memory and arithmetic of this machine allow",
       [&out](const Args& args) { return RunRoofline(args, out); }},
  };
  return ctl::RunCommand(table, args, out, err);
}

}  // namespace skein::bench
