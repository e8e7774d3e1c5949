#include <istream>
#include <ostream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "tools/skeinctl/api_client.h"
#include "tools/skeinctl/commands.h"

namespace skein::ctl {
namespace {

constexpr char kDetails[] =
    "With MESSAGE: sends it and prints the answer as it comes. Without: a conversation that "
    "remembers what was\n"
    "said, one message a line, from the terminal or from a pipe. Lines that begin with a slash are "
    "commands:\n"
    "  /quit     ends (so does the end of the input)\n"
    "  /reset    forgets the conversation";

class Conversation {
 public:
  Conversation(ApiClient& client, Terminal& terminal, GenerateCall settings, std::string system)
      : client_(client),
        terminal_(terminal),
        settings_(std::move(settings)),
        system_(std::move(system)) {
    Reset();
  }

  void Reset() {
    turns_.clear();
    if (!system_.empty()) turns_.push_back({"system", system_});
  }

  // Prints the answer. After an error the message is forgotten.
  absl::Status Say(const std::string& message) {
    GenerateCall call = settings_;
    call.prompt = turns_;
    std::get<Turns>(call.prompt).push_back({"user", message});
    call.on_text = [this](absl::string_view text) {
      terminal_.out.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
      return true;
    };
    const absl::StatusOr<Generated> answer = client_.Generate(call);
    terminal_.out << std::endl;
    RETURN_IF_ERROR(answer.status());
    turns_.push_back({"user", message});
    turns_.push_back({"assistant", answer->text});
    return absl::OkStatus();
  }

  // Until /quit or the end of the input. A person sees an error and goes on; a script ends with it.
  absl::Status Run() {
    std::string line;
    while (ReadLine(line)) {
      const absl::string_view command = absl::StripAsciiWhitespace(line);
      if (command.empty()) continue;
      if (command == "/quit") break;
      if (command == "/reset") {
        Reset();
        continue;
      }
      absl::Status status = Say(line);
      if (status.ok()) continue;
      if (!terminal_.interactive) return status;
      terminal_.err << std::string(status.message()) << "\n";
    }
    return absl::OkStatus();
  }

 private:
  bool ReadLine(std::string& line) {
    if (terminal_.interactive) terminal_.out << "> " << std::flush;
    return static_cast<bool>(std::getline(terminal_.in, line));
  }

  ApiClient& client_;
  Terminal& terminal_;
  const GenerateCall settings_;
  const std::string system_;
  Turns turns_;
};

absl::Status Chat(const ServerOptions& server, const GenerateOptions& options,
                  const std::string& system, const std::vector<std::string>& words,
                  Terminal& terminal) {
  ASSIGN_OR_RETURN(Url url, UrlOf(server));
  ApiClient client(std::move(url));
  ASSIGN_OR_RETURN(const std::string model, client.ChooseModel(server.model));
  GenerateCall settings;
  settings.model = model;
  settings.temperature = options.temperature;
  settings.top_p = options.top_p;
  settings.state = options.state;
  settings.adapter = options.adapter;
  settings.max_tokens = options.max_tokens;
  settings.seed = options.seed;
  Conversation conversation(client, terminal, std::move(settings), system);
  if (!words.empty()) return conversation.Say(absl::StrJoin(words, " "));
  if (terminal.interactive) terminal.out << model << " listens. /quit ends, /reset forgets.\n";
  return conversation.Run();
}

}  // namespace

absl::Status RunChat(const std::vector<std::string>& args, Terminal& terminal) {
  ServerOptions server;
  GenerateOptions options;
  std::string system;
  std::vector<Option> table = ServerOptionTable(server);
  for (Option& option : GenerateOptionTable(options)) table.push_back(std::move(option));
  table.push_back(TextOption("system", "TEXT", "the system message of the conversation", &system));
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText("chat [OPTIONS] [MESSAGE...]", kDetails, table);
    return absl::OkStatus();
  }
  return Explain(Chat(server, options, system, parsed.positional, terminal), server.url);
}

}  // namespace skein::ctl
