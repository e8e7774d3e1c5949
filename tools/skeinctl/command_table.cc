#include "tools/skeinctl/command_table.h"

#include <algorithm>
#include <ostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace skein::ctl {
namespace {

std::string Overview(const CommandTable& table) {
  std::string text = absl::StrCat(table.program, ": ", table.purpose, "\n\nusage: ", table.program,
                                  " ", table.synopsis, "\n\n");
  size_t width = 0;
  for (const TableCommand& command : table.commands) width = std::max(width, command.name.size());
  for (const TableCommand& command : table.commands) {
    absl::StrAppendFormat(&text, "  %-*s  %s\n", static_cast<int>(width), command.name,
                          command.summary);
  }
  absl::StrAppend(&text, "\n", table.program, " COMMAND --help shows the options of a command.",
                  table.closing);
  return text;
}

}  // namespace

int RunCommand(const CommandTable& table, const std::vector<std::string>& args, std::ostream& out,
               std::ostream& err) {
  if (args.empty() || args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    (args.empty() ? err : out) << Overview(table);
    return args.empty() ? 2 : 0;
  }
  for (const TableCommand& command : table.commands) {
    if (args[0] != command.name) continue;
    const absl::Status status = command.run({args.begin() + 1, args.end()});
    out.flush();
    if (status.ok()) return 0;
    err << table.program << " " << command.name << ": " << std::string(status.message()) << "\n";
    return absl::IsInvalidArgument(status) ? 2 : 1;
  }
  err << table.program << ": no command \"" << args[0] << "\"\n\n" << Overview(table);
  return 2;
}

}  // namespace skein::ctl
