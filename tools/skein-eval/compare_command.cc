// skein-eval compare.
#include <algorithm>
#include <cmath>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include <boost/json.hpp>

#include "common/base/status_macros.h"
#include "common/text/model_text.h"
#include "tools/skein-eval/commands.h"
#include "tools/skein-eval/sequence_runner.h"
#include "tools/skeinctl/options.h"

namespace skein::eval {
namespace {

namespace json = boost::json;

constexpr char kUsage[] =
    "usage: skein-eval compare --model PATH --prompts FILE.jsonl --backend cuda [OPTIONS]\n\n"
    "Answers each chat greedily on the CPU and feeds the answer to the backend token by token. "
    "Lists\n"
    "the places where the backend would have gone on with another token, and fails if the CPU's\n"
    "logits of the two are further apart than rounding explains. A line of the file is an object "
    "whose\n"
    "\"messages\" are objects with \"role\" and \"content\".\n\n";

using Chat = std::vector<ChatTurn>;

struct Arguments {
  RunnerOptions runner;
  std::string prompts;
  int64_t max_tokens = 512;
  double rounding = 0.25;
};

std::vector<ctl::Option> OptionTable(Arguments& arguments) {
  std::vector<ctl::Option> table = RunnerOptionTable(arguments.runner);
  table.push_back(ctl::TextOption("prompts", "FILE", "chats, one a line", &arguments.prompts));
  table.push_back(ctl::IntOption("max-tokens", "N", "of an answer (default 512)", 1, 65536,
                                 [&](int64_t value) { arguments.max_tokens = value; }));
  table.push_back(ctl::NumberOption("rounding", "X",
                                    "distance of two logits up to which either may win "
                                    "(default 0.25)",
                                    0, 100, [&](double value) { arguments.rounding = value; }));
  return table;
}

absl::StatusOr<Chat> ParseChat(const std::string& line) {
  Chat chat;
  try {
    const json::value parsed = json::parse(line);
    for (const json::value& turn : parsed.at("messages").as_array()) {
      chat.push_back({json::value_to<std::string>(turn.at("role")),
                      json::value_to<std::string>(turn.at("content"))});
    }
  } catch (const std::exception&) {
    return absl::InvalidArgumentError("expected {\"messages\": [{\"role\", \"content\"}, ..]}");
  }
  return chat;
}

absl::StatusOr<std::vector<std::vector<int32_t>>> ReadPrompts(const std::string& path,
                                                              const ModelText& text) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be read"));
  std::vector<std::vector<int32_t>> prompts;
  for (std::string line; std::getline(file, line);) {
    absl::StatusOr<Chat> chat = ParseChat(line);
    absl::StatusOr<std::string> rendered =
        chat.ok() ? text.chat->render(*chat, text.chat_options) : chat.status();
    if (!rendered.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ", line ", prompts.size() + 1, ": ", rendered.status().message()));
    }
    prompts.push_back(text.tokenizer->Encode(*rendered, /*add_special=*/false));
  }
  if (prompts.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": holds no chat"));
  return prompts;
}

int32_t Likeliest(const std::vector<float>& logits) {
  return static_cast<int32_t>(
      std::distance(logits.begin(), std::max_element(logits.begin(), logits.end())));
}

// The model twice, on the CPU and on the backend.
class Comparison {
 public:
  Comparison(const Arguments& arguments, const ModelText& text, std::ostream& out)
      : arguments_(arguments), text_(text), out_(out) {}

  absl::Status Load(int64_t max_tokens) {
    RunnerOptions cpu = arguments_.runner;
    cpu.backend = "cpu";
    ASSIGN_OR_RETURN(backend_, SequenceRunner::Create(arguments_.runner, max_tokens));
    ASSIGN_OR_RETURN(cpu_, SequenceRunner::Create(cpu, max_tokens));
    out_ << cpu_->DescribeConditions();
    return absl::OkStatus();
  }

  absl::Status Answer(std::vector<int32_t> fed) {
    cpu_->Reset();
    backend_->Reset();
    bool alike = true;
    for (int64_t at = 0; at < arguments_.max_tokens; ++at) {
      std::vector<float> wanted, found;
      RETURN_IF_ERROR(Last(*cpu_, fed, wanted));
      RETURN_IF_ERROR(Last(*backend_, fed, found));
      for (size_t i = 0; i < wanted.size(); ++i) {
        largest_ = std::max(largest_, std::abs(double{wanted[i]} - found[i]));
      }
      const int32_t token = Likeliest(wanted), other = Likeliest(found);
      if (other != token) {
        alike = false;
        Report(at, token, other, double{wanted[token]} - wanted[other]);
      }
      ++tokens_;
      if (std::binary_search(text_.end_tokens.begin(), text_.end_tokens.end(), token)) break;
      fed = {token};
    }
    ++prompts_;
    alike_ += alike ? 1 : 0;
    return absl::OkStatus();
  }

  absl::Status Finish() const {
    out_ << absl::StrFormat(
        "answers          %d, %d tokens\nalike            %d\nwithin rounding  %d tokens\n"
        "different        %d tokens\nlogits differ by %.4f at most\n",
        prompts_, tokens_, alike_, close_, different_, largest_);
    if (different_ == 0) return absl::OkStatus();
    return absl::DataLossError("the backend answers differently from the CPU");
  }

 private:
  static absl::Status Last(SequenceRunner& runner, const std::vector<int32_t>& tokens,
                           std::vector<float>& logits) {
    return runner.Feed(tokens, [&](std::span<const float> row) {
      logits.assign(row.begin(), row.end());
      return absl::OkStatus();
    });
  }

  void Report(int64_t at, int32_t token, int32_t other, double gap) {
    const bool close = gap <= arguments_.rounding;
    (close ? close_ : different_) += 1;
    out_ << absl::StrFormat("prompt %d, token %d: \"%s\" instead of \"%s\", %.4f apart%s\n",
                            prompts_ + 1, at + 1, Text(other), Text(token), gap,
                            close ? "" : ": different");
  }

  std::string Text(int32_t token) const {
    return absl::CHexEscape(text_.tokenizer->TokenBytes(token));
  }

  const Arguments& arguments_;
  const ModelText& text_;
  std::ostream& out_;
  std::unique_ptr<SequenceRunner> cpu_, backend_;
  int64_t prompts_ = 0, tokens_ = 0, alike_ = 0;
  int64_t close_ = 0, different_ = 0;  // tokens that the backend would have replaced
  double largest_ = 0;
};

}  // namespace

absl::Status RunCompare(const std::vector<std::string>& args, std::ostream& out) {
  Arguments arguments;
  const std::vector<ctl::Option> table = OptionTable(arguments);
  ASSIGN_OR_RETURN(const ctl::ParsedArgs parsed, ctl::ParseArgs(args, table));
  if (parsed.help) {
    out << kUsage << "options:\n" << ctl::DescribeOptions(table);
    return absl::OkStatus();
  }
  if (!parsed.positional.empty() || arguments.runner.model.empty() || arguments.prompts.empty()) {
    return absl::InvalidArgumentError("--model and --prompts are needed; see --help");
  }
  ASSIGN_OR_RETURN(const ModelText text, LoadModelText(arguments.runner.model, "", ""));
  if (text.tokenizer == nullptr || text.chat == nullptr) {
    return absl::NotFoundError("the model folder has no tokenizer or no chat format");
  }
  ASSIGN_OR_RETURN(const auto prompts, ReadPrompts(arguments.prompts, text));
  size_t longest = 0;
  for (const std::vector<int32_t>& prompt : prompts) longest = std::max(longest, prompt.size());
  Comparison comparison(arguments, text, out);
  RETURN_IF_ERROR(comparison.Load(static_cast<int64_t>(longest) + arguments.max_tokens));
  for (const std::vector<int32_t>& prompt : prompts) RETURN_IF_ERROR(comparison.Answer(prompt));
  return comparison.Finish();
}

}  // namespace skein::eval
