// complete, tokenize: one request, one answer.
#include <istream>
#include <iterator>
#include <ostream>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "tools/skeinctl/api_client.h"
#include "tools/skeinctl/commands.h"

namespace skein::ctl {
namespace {

// The text of the arguments, or of the standard input when there are none.
std::string TextArgument(const ParsedArgs& args, Terminal& terminal) {
  if (!args.positional.empty()) return absl::StrJoin(args.positional, " ");
  return {std::istreambuf_iterator<char>(terminal.in), std::istreambuf_iterator<char>()};
}

absl::Status Complete(const ServerOptions& server, const GenerateOptions& options,
                      const std::string& prompt, Terminal& terminal) {
  ASSIGN_OR_RETURN(Url url, UrlOf(server));
  ApiClient client(std::move(url));
  ASSIGN_OR_RETURN(const std::string model, client.ChooseModel(server.model));
  GenerateCall call;
  call.model = model;
  call.prompt = prompt;
  call.temperature = options.temperature;
  call.top_p = options.top_p;
  call.state = options.state;
  call.adapter = options.adapter;
  call.max_tokens = options.max_tokens;
  call.seed = options.seed;
  call.on_text = [&terminal](absl::string_view text) {
    terminal.out.write(text.data(), static_cast<std::streamsize>(text.size())).flush();
    return true;
  };
  RETURN_IF_ERROR(client.Generate(call).status());
  terminal.out << "\n";
  return absl::OkStatus();
}

// Bytes that are no whole characters arrive as bytes:\xe4\xbd, with escapes already.
std::string ShownText(absl::string_view text) {
  if (absl::StartsWith(text, "bytes:\\x")) return std::string(absl::StripPrefix(text, "bytes:"));
  return absl::Utf8SafeCEscape(text);
}

absl::Status Tokenize(const ServerOptions& server, const std::string& text, Terminal& terminal) {
  ASSIGN_OR_RETURN(Url url, UrlOf(server));
  ApiClient client(std::move(url));
  ASSIGN_OR_RETURN(const std::string model, client.ChooseModel(server.model));
  ASSIGN_OR_RETURN(const std::vector<Token> tokens, client.Tokenize(model, text));
  for (const Token& token : tokens) {
    terminal.out << token.id << "\t\"" << ShownText(token.text) << "\"\n";
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunComplete(const std::vector<std::string>& args, Terminal& terminal) {
  ServerOptions server;
  GenerateOptions options;
  std::vector<Option> table = ServerOptionTable(server);
  for (Option& option : GenerateOptionTable(options)) table.push_back(std::move(option));
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(
        "complete [OPTIONS] [TEXT...]",
        "Continues TEXT, or what stands on the standard input, and prints the continuation alone.",
        table);
    return absl::OkStatus();
  }
  return Explain(Complete(server, options, TextArgument(parsed, terminal), terminal), server.url);
}

absl::Status RunTokenize(const std::vector<std::string>& args, Terminal& terminal) {
  ServerOptions server;
  const std::vector<Option> table = ServerOptionTable(server);
  ASSIGN_OR_RETURN(const ParsedArgs parsed, ParseArgs(args, table));
  if (parsed.help) {
    terminal.out << HelpText(
        "tokenize [OPTIONS] [TEXT...]",
        "Prints the tokens of TEXT, or of the standard input: one a line, its id and its text.",
        table);
    return absl::OkStatus();
  }
  return Explain(Tokenize(server, TextArgument(parsed, terminal), terminal), server.url);
}

}  // namespace skein::ctl
