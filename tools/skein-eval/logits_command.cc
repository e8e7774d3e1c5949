// skein-eval logits.
#include <fstream>
#include <limits>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "tools/skein-eval/commands.h"
#include "tools/skein-eval/npy_writer.h"
#include "tools/skein-eval/sequence_runner.h"
#include "tools/skeinctl/options.h"

namespace skein::eval {
namespace {

constexpr char kUsage[] =
    "usage: skein-eval logits --model PATH --tokens FILE --out FILE.npy [OPTIONS]\n\n"
    "Feeds the token ids of a text file, separated by white space, and writes the logits after "
    "each\n"
    "of them: float32 [tokens, vocabulary], as NumPy's load reads them.\n\n";

absl::StatusOr<std::vector<int32_t>> ReadTokens(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::vector<int32_t> tokens;
  std::string word;
  while (file >> word) {
    int32_t token = 0;
    if (!absl::SimpleAtoi(word, &token)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": token ", tokens.size(), " is \"",
                                                     word.substr(0, 40), "\", expected a number"));
    }
    tokens.push_back(token);
  }
  if (tokens.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no token"));
  return tokens;
}

}  // namespace

absl::Status RunLogits(const std::vector<std::string>& args, std::ostream& out) {
  RunnerOptions options;
  std::string tokens_path, out_path;
  std::vector<ctl::Option> table = RunnerOptionTable(options);
  table.push_back(ctl::TextOption("tokens", "FILE", "token ids", &tokens_path));
  table.push_back(ctl::TextOption("out", "FILE", "the .npy file to write", &out_path));
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed, ctl::ParseArgs(args, table));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  if (!parsed.positional.empty() || tokens_path.empty() || out_path.empty()) {
    return absl::InvalidArgumentError("--model, --tokens and --out are needed; see --help");
  }
  ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, ReadTokens(tokens_path));
  const auto count = static_cast<int64_t>(tokens.size());
  ASSIGN_OR_RETURN(const auto runner, SequenceRunner::Create(options, count));
  NpyWriter writer;
  RETURN_IF_ERROR(writer.Open(out_path, count, runner->model().vocab_size));
  RETURN_IF_ERROR(
      runner->Feed(tokens, [&](std::span<const float> row) { return writer.Append(row); }));
  RETURN_IF_ERROR(writer.Close());
  out << runner->DescribeConditions();
  out << absl::StrFormat("wrote %s: [%d, %d]\n", out_path, count, runner->model().vocab_size);
  return absl::OkStatus();
}

}  // namespace skein::eval
