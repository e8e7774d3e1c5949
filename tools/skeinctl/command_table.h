// A program of several commands: its overview, and running the one that was named.
#pragma once

#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace skein::ctl {

struct TableCommand {
  std::string name;
  std::string summary;  // one line
  std::function<absl::Status(const std::vector<std::string>& args)> run;
};

struct CommandTable {
  std::string program;
  std::string purpose;   // one line
  std::string synopsis;  // after the program's name
  std::string closing;   // after the list of commands
  std::vector<TableCommand> commands;
};

// Runs the command that `args` name. Without one, or asked for help, it writes the overview.
// Returns the exit status: 0 fine, 1 failed, 2 used wrongly, which is also what InvalidArgument
// means.
int RunCommand(const CommandTable& table, const std::vector<std::string>& args, std::ostream& out,
               std::ostream& err);

}  // namespace skein::ctl
