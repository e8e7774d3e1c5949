#include "gateway/endpoints/completion_response.h"

#include <utility>

#include "boost/json/serialize.hpp"

#include "gateway/endpoints/logprobs_json.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr char kObject[] = "text_completion";

// What both forms keep: the place of every choice in its text, and the prompt's log-probabilities,
// which come once per call and belong at the head of each of its choices.
class CompletionFormat : public ReplyFormat {
 public:
  CompletionFormat(ReplyHead head, const CompletionReplyOptions& options)
      : head_(std::move(head)),
        options_(options),
        offsets_(options.num_prompts * options.choices_per_prompt),
        prompts_(options.num_prompts) {}

 protected:
  size_t num_choices() const { return offsets_.size(); }

  size_t ChoiceOf(size_t prompt_index, const v1::GenerateResponse& message) const {
    return prompt_index * options_.choices_per_prompt + message.choice();
  }

  void Note(size_t prompt_index, const v1::GenerateResponse& message) {
    if (message.has_usage()) AddUsage(message.usage(), usage_);
    if (message.has_started()) prompts_[prompt_index] = message.started().prompt();
  }

  // The lists for what `message` adds to choice `index`; null unless asked for.
  json::value Logprobs(size_t prompt_index, size_t index, const v1::GenerateResponse& message) {
    if (!options_.logprobs) return nullptr;
    json::object lists;
    if (!offsets_[index].has_prompt) {
      offsets_[index].has_prompt = true;
      lists = CompletionLogprobs(prompts_[prompt_index], offsets_[index].characters);
    }
    AppendLogprobs(CompletionLogprobs(message.tokens(), offsets_[index].characters), lists);
    return lists;
  }

  const ReplyHead head_;
  const CompletionReplyOptions options_;
  v1::Usage usage_;

 private:
  struct Offset {
    int64_t characters = 0;
    bool has_prompt = false;
  };
  std::vector<Offset> offsets_;      // per choice
  std::vector<TokenInfos> prompts_;  // per call
};

class CompletionStream : public CompletionFormat {
 public:
  using CompletionFormat::CompletionFormat;

  std::vector<std::string> OnMessage(size_t prompt_index,
                                     const v1::GenerateResponse& message) override {
    Note(prompt_index, message);
    const size_t index = ChoiceOf(prompt_index, message);
    const bool finished = message.finish() != v1::FINISH_REASON_UNSPECIFIED;
    const bool empty = message.text().empty() && message.tokens_size() == 0 && !finished;
    if (empty || index >= num_choices()) return {};
    json::object entry;
    entry["text"] = message.text();
    entry["index"] = index;
    entry["logprobs"] = Logprobs(prompt_index, index, message);
    entry["finish_reason"] = FinishJson(message.finish());
    json::object chunk = ReplyObject(head_, kObject);
    chunk["choices"] = json::array();
    chunk["choices"].get_array().push_back(std::move(entry));
    if (options_.include_usage) chunk["usage"] = nullptr;
    return {json::serialize(chunk)};
  }

  std::string Finish() override {
    if (!options_.include_usage) return "";
    json::object chunk = ReplyObject(head_, kObject);
    chunk["choices"] = json::array();
    chunk["usage"] = UsageJson(usage_);
    return json::serialize(chunk);
  }
};

class CompletionReply : public CompletionFormat {
 public:
  CompletionReply(ReplyHead head, const CompletionReplyOptions& options)
      : CompletionFormat(std::move(head), options), choices_(num_choices()) {}

  std::vector<std::string> OnMessage(size_t prompt_index,
                                     const v1::GenerateResponse& message) override {
    Note(prompt_index, message);
    const size_t index = ChoiceOf(prompt_index, message);
    const bool finished = message.finish() != v1::FINISH_REASON_UNSPECIFIED;
    if (index >= num_choices()) return {};
    Choice& choice = choices_[index];
    choice.text += message.text();
    if (finished) choice.finish = message.finish();
    if (options_.logprobs && (finished || message.tokens_size() > 0)) {
      AppendLogprobs(std::move(Logprobs(prompt_index, index, message).get_object()),
                     choice.logprobs);
    }
    return {};
  }

  std::string Finish() override {
    json::array list;
    for (size_t i = 0; i < choices_.size(); ++i) {
      json::object entry;
      entry["text"] = choices_[i].text;
      entry["index"] = i;
      entry["logprobs"] = nullptr;
      if (options_.logprobs) entry["logprobs"] = std::move(choices_[i].logprobs);
      entry["finish_reason"] = FinishJson(choices_[i].finish);
      list.push_back(std::move(entry));
    }
    json::object reply = ReplyObject(head_, kObject);
    reply["choices"] = std::move(list);
    reply["usage"] = UsageJson(usage_);
    return json::serialize(reply);
  }

 private:
  struct Choice {
    std::string text;
    json::object logprobs;
    v1::FinishReason finish = v1::FINISH_REASON_UNSPECIFIED;
  };
  std::vector<Choice> choices_;
};

}  // namespace

std::unique_ptr<ReplyFormat> MakeCompletionStream(ReplyHead head,
                                                  const CompletionReplyOptions& options) {
  return std::make_unique<CompletionStream>(std::move(head), options);
}

std::unique_ptr<ReplyFormat> MakeCompletionReply(ReplyHead head,
                                                 const CompletionReplyOptions& options) {
  return std::make_unique<CompletionReply>(std::move(head), options);
}

}  // namespace skein
