#include "tools/skeinctl/commands.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "tools/skeinctl/command_table.h"

namespace skein::ctl {
namespace {

constexpr Command kCommands[] = {
    {"chat", "talk to a model; answers appear as they are made", RunChat},
    {"complete", "continue a text", RunComplete},
    {"models", "list the models that are served; load and unload those of a worker", RunModels},
    {"tokenize", "show the tokens of a text", RunTokenize},
    {"states", "list, load and remove tuned states of a worker", RunStates},
    {"mixtures", "list, define and remove mixtures of them", RunMixtures},
    {"adapters", "list, load and remove adapters of a worker", RunAdapters},
    {"keys", "make API keys, check files of them", RunKeys},
    {"bench", "put load on a server and measure latencies and throughput", RunBench},
};

constexpr char kClosing[] =
    " The server is http://127.0.0.1:8080 unless\n"
    "--url says another. Exit status: 0 fine, 1 failed, 2 used wrongly.\n\n"
    "examples:\n"
    "  skeinctl chat 'What is 17 plus 25?'\n"
    "  skeinctl chat                                 a conversation, until /quit\n"
    "  skeinctl bench --concurrency 16 --seconds 30 --max-tokens 64\n";

}  // namespace

int RunSkeinctl(const std::vector<std::string>& args, Terminal& terminal) {
  CommandTable table;
  table.program = "skeinctl";
  table.purpose = "client and load generator for a skein gateway";
  table.synopsis = "COMMAND [OPTIONS] [ARGUMENTS]";
  table.closing = kClosing;
  for (const Command& command : kCommands) {
    table.commands.push_back({command.name, command.summary,
                              [&](const auto& rest) { return command.run(rest, terminal); }});
  }
  return RunCommand(table, args, terminal.out, terminal.err);
}

absl::StatusOr<Url> UrlOf(const ServerOptions& server) {
  ASSIGN_OR_RETURN(Url url, ParseUrl(server.url));
  const char* from_environment = std::getenv("SKEIN_API_KEY");
  url.api_key =
      !server.api_key.empty() || from_environment == nullptr ? server.api_key : from_environment;
  return url;
}

absl::Status Explain(const absl::Status& status, const std::string& url) {
  if (!absl::IsUnavailable(status)) return status;
  return absl::UnavailableError(absl::StrCat(
      status.message(), "\nNo answer from ", url, ". If nothing is running yet, start it:\n",
      "  skein-worker --model DIR &      # waits on 127.0.0.1:50051\n"
      "  skein-gateway &                 # serves on http://127.0.0.1:8080\n"
      "or deploy/quickstart.sh, which does both. A server elsewhere is named with --url."));
}

std::string HelpText(absl::string_view usage, absl::string_view details,
                     const std::vector<Option>& options) {
  return absl::StrCat("usage: skeinctl ", usage, "\n\n", details, "\n\noptions:\n",
                      DescribeOptions(options));
}

}  // namespace skein::ctl
