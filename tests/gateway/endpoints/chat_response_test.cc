#include "gateway/endpoints/chat_response.h"

#include <limits>
#include <string>
#include <vector>

#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

namespace json = boost::json;

ReplyHead Head() {
  return {.id = "chatcmpl-1", .created = 1700000000, .model = "m", .fingerprint = "fp"};
}

v1::GenerateResponse Message(const std::string& text) {
  v1::GenerateResponse message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// The events of `messages`, and the last one if there is one.
std::vector<json::value> Events(ReplyFormat& format, const std::vector<std::string>& messages) {
  std::vector<json::value> events;
  for (const std::string& message : messages) {
    for (const std::string& event : format.OnMessage(0, Message(message))) {
      EXPECT_EQ(event.find('\n'), std::string::npos);
      events.push_back(json::parse(event));
    }
  }
  if (const std::string last = format.Finish(); !last.empty()) events.push_back(json::parse(last));
  return events;
}

const std::vector<std::string> kTwoChoices = {
    "started { seed: 1 prompt_tokens: 4 }",
    "choice: 0 text: 'Hel'",
    "choice: 1 text: 'Sal'",
    "choice: 0 text: 'lo' finish: FINISH_REASON_STOP",
    "choice: 1 text: 'ut'",
    "choice: 1 finish: FINISH_REASON_LENGTH usage { prompt_tokens: 4 cached_tokens: 3 "
    "completion_tokens: 6 }"};

TEST(ChatResponseTest, AStreamIsRolesThenTextsThenReasons) {
  const auto stream = MakeChatStream(Head(), {.num_choices = 2});
  std::vector<std::string> seen;
  for (const json::value& event : Events(*stream, kTwoChoices)) {
    const json::value& choice = event.at("choices").at(0);
    EXPECT_TRUE(choice.at("logprobs").is_null());
    EXPECT_FALSE(event.as_object().contains("usage"));
    seen.push_back(json::serialize(
        json::array{choice.at("index"), choice.at("delta"), choice.at("finish_reason")}));
  }
  const std::vector<std::string> expected = {R"([0,{"role":"assistant","content":""},null])",
                                             R"([1,{"role":"assistant","content":""},null])",
                                             R"([0,{"content":"Hel"},null])",
                                             R"([1,{"content":"Sal"},null])",
                                             R"([0,{"content":"lo"},null])",
                                             R"([0,{},"stop"])",
                                             R"([1,{"content":"ut"},null])",
                                             R"([1,{},"length"])"};
  EXPECT_EQ(seen, expected);
}

TEST(ChatResponseTest, EveryChunkHasTheSameHead) {
  const auto stream = MakeChatStream(Head(), {.num_choices = 2, .include_usage = true});
  for (const json::value& event : Events(*stream, kTwoChoices)) {
    EXPECT_EQ(event.at("id").as_string(), "chatcmpl-1");
    EXPECT_EQ(event.at("object").as_string(), "chat.completion.chunk");
    EXPECT_EQ(event.at("created").as_int64(), 1700000000);
    EXPECT_EQ(event.at("model").as_string(), "m");
    EXPECT_EQ(event.at("system_fingerprint").as_string(), "fp");
  }
}

TEST(ChatResponseTest, TheUsageComesLastAndIsNullBefore) {
  const auto stream = MakeChatStream(Head(), {.num_choices = 2, .include_usage = true});
  const std::vector<json::value> events = Events(*stream, kTwoChoices);
  for (size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(events[i].at("usage").is_null());
  EXPECT_TRUE(events.back().at("choices").as_array().empty());
  EXPECT_EQ(
      json::serialize(events.back().at("usage")),
      R"({"prompt_tokens":4,"completion_tokens":6,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":3}})");
}

TEST(ChatResponseTest, TheUsageCountsTheStatesOfAMixture) {
  const auto reply = MakeChatReply(Head(), {.num_choices = 1});
  const std::vector<json::value> bodies =
      Events(*reply, {"choice: 0 text: 'a' finish: FINISH_REASON_STOP usage { prompt_tokens: 4 "
                      "completion_tokens: 1 state_rows: 3 }"});
  EXPECT_EQ(bodies[0].at("usage").at("state_rows").as_int64(), 3);
}

TEST(ChatResponseTest, AWholeReplyHasEveryChoice) {
  const auto reply = MakeChatReply(Head(), {.num_choices = 2});
  const std::vector<json::value> bodies = Events(*reply, kTwoChoices);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(
      json::serialize(bodies[0]),
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m",)"
      R"("system_fingerprint":"fp","choices":[)"
      R"({"index":0,"message":{"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"stop"},)"
      R"({"index":1,"message":{"role":"assistant","content":"Salut","refusal":null},"logprobs":null,"finish_reason":"length"}],)"
      R"("usage":{"prompt_tokens":4,"completion_tokens":6,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":3}}})");
}

const std::vector<std::string> kWithLogprobs = {
    "started { seed: 1 }",
    R"(text: 'a' tokens { id: 5 text: 'a' logprob: -0.25 top { id: 5 text: 'a' logprob: -0.25 } top { id: 9 text: '\344\275' logprob: -inf } })",
    R"(tokens { id: 0 text: '' logprob: -0.1 } finish: FINISH_REASON_STOP)"};

TEST(ChatResponseTest, LogprobsTellEveryToken) {
  for (const bool streamed : {false, true}) {
    SCOPED_TRACE(streamed);
    const ChatReplyOptions options = {.logprobs = true};
    const auto format = streamed ? MakeChatStream(Head(), options) : MakeChatReply(Head(), options);
    json::array tokens;
    for (const json::value& event : Events(*format, kWithLogprobs)) {
      const json::value& logprobs = event.at("choices").at(0).at("logprobs");
      if (logprobs.is_null()) continue;
      EXPECT_TRUE(logprobs.at("refusal").is_null());
      for (const json::value& token : logprobs.at("content").as_array()) tokens.push_back(token);
    }
    ASSERT_EQ(tokens.size(), 2u);
    EXPECT_EQ(tokens[0].at("token").as_string(), "a");
    EXPECT_EQ(tokens[0].at("logprob").as_double(), -0.25);
    EXPECT_EQ(json::serialize(tokens[0].at("bytes")), "[97]");
    const json::array& top = tokens[0].at("top_logprobs").as_array();
    ASSERT_EQ(top.size(), 2u);
    EXPECT_EQ(top[1].at("token").as_string(), R"(bytes:\xe4\xbd)");
    EXPECT_EQ(json::serialize(top[1].at("bytes")), "[228,189]");
    EXPECT_EQ(top[1].at("logprob").as_double(), -9999.0);
    EXPECT_EQ(json::serialize(tokens[1].at("bytes")), "[]");
  }
}

TEST(ChatResponseTest, EveryDeltaHasAContentIfAskedFor) {
  v1::GenerateResponse message;
  message.set_finish(v1::FINISH_REASON_STOP);
  for (const bool always : {false, true}) {
    const auto stream = MakeChatStream(Head(), {.always_content = always});
    const json::value last = json::parse(stream->OnMessage(0, message).back());
    EXPECT_EQ(json::serialize(last.at("choices").at(0).at("delta")),
              always ? R"({"content":""})" : "{}");
  }
}

TEST(ChatResponseTest, TextThatNeedsEscapesComesBackAsItWas) {
  const std::string text =
      std::string("quote \" slash \\ tab \t line \n nul ") + '\0' + " \u2028 \U0001F600 \x7F";
  v1::GenerateResponse message;
  message.set_text(text);
  const auto stream = MakeChatStream(Head(), {});
  const std::vector<std::string> events = stream->OnMessage(0, message);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].find('\n'), std::string::npos);
  EXPECT_EQ(json::parse(events[1]).at("choices").at(0).at("delta").at("content").as_string(),
            json::string(text));
}

TEST(ChatResponseTest, AnUnknownFingerprintIsNull) {
  ReplyHead head = Head();
  head.fingerprint.clear();
  const auto reply = MakeChatReply(head, {});
  EXPECT_TRUE(json::parse(reply->Finish()).at("system_fingerprint").is_null());
}

}  // namespace
}  // namespace skein
