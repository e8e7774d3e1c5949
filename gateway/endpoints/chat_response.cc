#include "gateway/endpoints/chat_response.h"

#include <utility>

#include "boost/json/serialize.hpp"

#include "gateway/endpoints/logprobs_json.h"

namespace skein {
namespace {

namespace json = boost::json;

class ChatStream : public ReplyFormat {
 public:
  ChatStream(ReplyHead head, const ChatReplyOptions& options)
      : head_(std::move(head)), options_(options) {}

  std::vector<std::string> OnMessage(size_t, const v1::GenerateResponse& message) override {
    std::vector<std::string> events;
    if (!started_) {
      started_ = true;
      for (uint32_t choice = 0; choice < options_.num_choices; ++choice) {
        events.push_back(Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr));
      }
    }
    if (!message.text().empty() || message.tokens_size() > 0) {
      json::value logprobs;
      if (options_.logprobs) {
        logprobs = {{"content", ChatLogprobs(message.tokens())}, {"refusal", nullptr}};
      }
      events.push_back(
          Chunk(message.choice(), {{"content", message.text()}}, std::move(logprobs), nullptr));
    }
    if (message.finish() != v1::FINISH_REASON_UNSPECIFIED) {
      json::object delta;
      if (options_.always_content) delta["content"] = "";
      events.push_back(
          Chunk(message.choice(), std::move(delta), nullptr, FinishJson(message.finish())));
    }
    if (message.has_usage()) AddUsage(message.usage(), usage_);
    return events;
  }

  std::string Finish() override {
    if (!options_.include_usage) return "";
    json::object chunk = ReplyObject(head_, kObject);
    chunk["choices"] = json::array();
    chunk["usage"] = UsageJson(usage_);
    return json::serialize(chunk);
  }

 private:
  static constexpr char kObject[] = "chat.completion.chunk";

  std::string Chunk(uint32_t choice, json::object delta, json::value logprobs,
                    json::value finish) const {
    json::object entry;
    entry["index"] = choice;
    entry["delta"] = std::move(delta);
    entry["logprobs"] = std::move(logprobs);
    entry["finish_reason"] = std::move(finish);
    json::object chunk = ReplyObject(head_, kObject);
    chunk["choices"] = json::array();
    chunk["choices"].get_array().push_back(std::move(entry));
    if (options_.include_usage) chunk["usage"] = nullptr;
    return json::serialize(chunk);
  }

  const ReplyHead head_;
  const ChatReplyOptions options_;
  bool started_ = false;
  v1::Usage usage_;
};

class ChatReply : public ReplyFormat {
 public:
  ChatReply(ReplyHead head, const ChatReplyOptions& options)
      : head_(std::move(head)), options_(options), choices_(options.num_choices) {}

  std::vector<std::string> OnMessage(size_t, const v1::GenerateResponse& message) override {
    if (message.has_usage()) AddUsage(message.usage(), usage_);
    if (message.choice() >= choices_.size()) return {};
    Choice& choice = choices_[message.choice()];
    choice.text += message.text();
    if (options_.logprobs) {
      for (json::value& entry : ChatLogprobs(message.tokens())) {
        choice.logprobs.push_back(std::move(entry));
      }
    }
    if (message.finish() != v1::FINISH_REASON_UNSPECIFIED) choice.finish = message.finish();
    return {};
  }

  std::string Finish() override {
    json::array list;
    for (size_t i = 0; i < choices_.size(); ++i) {
      Choice& choice = choices_[i];
      json::object entry;
      entry["index"] = i;
      entry["message"] = {{"role", "assistant"}, {"content", choice.text}, {"refusal", nullptr}};
      entry["logprobs"] = nullptr;
      if (options_.logprobs) {
        entry["logprobs"] = {{"content", std::move(choice.logprobs)}, {"refusal", nullptr}};
      }
      entry["finish_reason"] = FinishJson(choice.finish);
      list.push_back(std::move(entry));
    }
    json::object reply = ReplyObject(head_, "chat.completion");
    reply["choices"] = std::move(list);
    reply["usage"] = UsageJson(usage_);
    return json::serialize(reply);
  }

 private:
  struct Choice {
    std::string text;
    json::array logprobs;
    v1::FinishReason finish = v1::FINISH_REASON_UNSPECIFIED;
  };

  const ReplyHead head_;
  const ChatReplyOptions options_;
  std::vector<Choice> choices_;
  v1::Usage usage_;
};

}  // namespace

std::unique_ptr<ReplyFormat> MakeChatStream(ReplyHead head, const ChatReplyOptions& options) {
  return std::make_unique<ChatStream>(std::move(head), options);
}

std::unique_ptr<ReplyFormat> MakeChatReply(ReplyHead head, const ChatReplyOptions& options) {
  return std::make_unique<ChatReply>(std::move(head), options);
}

}  // namespace skein
