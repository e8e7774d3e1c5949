#include "tools/skein-eval/commands.h"

#include "tools/skeinctl/command_table.h"

namespace skein::eval {

int RunSkeinEval(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  using Args = std::vector<std::string>;
  ctl::CommandTable table;
  table.program = "skein-eval";
  table.purpose = "works on model files, without a server";
  table.synopsis = "COMMAND [OPTIONS]";
  table.closing = "\nExit status: 0 fine, 1 failed, 2 used wrongly.\n";
  table.commands = {
      {"logits", "write the logits after each of some tokens",
       [&out](const Args& args) { return RunLogits(args, out); }},
      {"perplexity", "how well a model predicts a text",
       [&out](const Args& args) { return RunPerplexity(args, out); }},
      {"compare", "whether a backend answers prompts as the CPU does",
       [&out](const Args& args) { return RunCompare(args, out); }},
      {"make-model", "write a model of a real shape with random weights",
       [&out](const Args& args) { return RunMakeModel(args, out); }},
  };
  return ctl::RunCommand(table, args, out, err);
}

}  // namespace skein::eval
