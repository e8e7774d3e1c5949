// skein-eval perplexity.
#include <chrono>
#include <fstream>
#include <limits>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "common/text/model_text.h"
#include "tools/skein-eval/commands.h"
#include "tools/skein-eval/perplexity.h"
#include "tools/skein-eval/sequence_runner.h"
#include "tools/skeinctl/options.h"

namespace skein::eval {
namespace {

constexpr char kUsage[] =
    "usage: skein-eval perplexity --model PATH --text FILE [OPTIONS]\n\n"
    "Feeds a text and prints how well the model predicts each token from those before it. The "
    "first\n"
    "token is scored only after a --prefix-token (0 for RWKV World models) or where the tokenizer\n"
    "puts one in front.\n\n";

struct Arguments {
  RunnerOptions runner;
  std::string text, tokenizer;
  std::optional<int32_t> prefix_token;
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = RunnerOptionTable(arguments.runner);
  table.push_back(ctl::TextOption("text", "FILE", "the text, in UTF-8", &arguments.text));
  table.push_back(ctl::TextOption("tokenizer", "PATH", "tokenizer file, else the model's own",
                                  &arguments.tokenizer));
  table.push_back(ctl::IntOption(
      "prefix-token", "ID", "a token before the text", 0, std::numeric_limits<int32_t>::max(),
      [&](int64_t value) { arguments.prefix_token = static_cast<int32_t>(value); }));
  return table;
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!(text << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be read, or empty"));
  }
  return std::move(text).str();
}

}  // namespace

absl::Status RunPerplexity(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed, ctl::ParseArgs(args, table));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  if (!parsed.positional.empty() || arguments.runner.model.empty() || arguments.text.empty()) {
    return absl::InvalidArgumentError("--model and --text are needed; see --help");
  }
  ASSIGN_OR_RETURN(const ModelText text,
                   LoadModelText(arguments.runner.model, arguments.tokenizer, ""));
  if (text.tokenizer == nullptr) {
    return absl::NotFoundError("the model folder has no tokenizer; give one with --tokenizer");
  }
  ASSIGN_OR_RETURN(const std::string content, ReadText(arguments.text));
  std::vector<int32_t> tokens = text.EncodePrompt(content);
  if (arguments.prefix_token.has_value()) tokens.insert(tokens.begin(), *arguments.prefix_token);
  ASSIGN_OR_RETURN(const auto runner,
                   SequenceRunner::Create(arguments.runner, static_cast<int64_t>(tokens.size())));
  out << runner->DescribeConditions();
  const auto begin = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const Perplexity result, Score(*runner, *text.tokenizer, tokens));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  out << absl::StrFormat(
      "tokens scored   %d\nmean nll        %.6f nats\nperplexity      %.4f\nbits per byte   %.4f\n"
      "tokens/s        %.1f\n",
      result.scored_tokens, result.mean_nll(), result.perplexity(), result.bits_per_byte(),
      static_cast<double>(result.scored_tokens) / seconds.count());
  return absl::OkStatus();
}

}  // namespace skein::eval
