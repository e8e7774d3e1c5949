#include "gateway/endpoints/completion_response.h"

#include <string>
#include <utility>
#include <vector>

#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

namespace json = boost::json;

ReplyHead Head() { return {.id = "cmpl-1", .created = 5, .model = "m", .fingerprint = "fp"}; }

v1::GenerateResponse Message(const std::string& text) {
  v1::GenerateResponse message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

using Input = std::vector<std::pair<size_t, std::string>>;  // prompt, message

std::vector<json::value> Events(ReplyFormat& format, const Input& messages) {
  std::vector<json::value> events;
  for (const auto& [prompt, message] : messages) {
    for (const std::string& event : format.OnMessage(prompt, Message(message))) {
      events.push_back(json::parse(event));
    }
  }
  if (const std::string last = format.Finish(); !last.empty()) events.push_back(json::parse(last));
  return events;
}

// Two prompts with two choices each, interleaved.
const Input kFour = {{1, "started {}"},
                     {1, "choice: 1 text: 'd'"},
                     {0, "started {}"},
                     {0, "choice: 0 text: 'a' finish: FINISH_REASON_STOP"},
                     {0, "choice: 1 text: 'b'"},
                     {1, "choice: 0 text: 'c' finish: FINISH_REASON_LENGTH"},
                     {0,
                      "choice: 1 text: 'B' finish: FINISH_REASON_STOP usage { prompt_tokens: 2 "
                      "completion_tokens: 5 }"},
                     {1,
                      "choice: 1 finish: FINISH_REASON_STOP usage { prompt_tokens: 3 "
                      "cached_tokens: 1 completion_tokens: 7 }"}};

TEST(CompletionResponseTest, ChoicesAreNumberedPromptByPrompt) {
  const auto reply = MakeCompletionReply(Head(), {.num_prompts = 2, .choices_per_prompt = 2});
  const std::vector<json::value> bodies = Events(*reply, kFour);
  ASSERT_EQ(bodies.size(), 1u);
  EXPECT_EQ(
      json::serialize(bodies[0]),
      R"({"id":"cmpl-1","object":"text_completion","created":5,"model":"m","system_fingerprint":"fp","choices":[)"
      R"({"text":"a","index":0,"logprobs":null,"finish_reason":"stop"},)"
      R"({"text":"bB","index":1,"logprobs":null,"finish_reason":"stop"},)"
      R"({"text":"c","index":2,"logprobs":null,"finish_reason":"length"},)"
      R"({"text":"d","index":3,"logprobs":null,"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":5,"completion_tokens":12,"total_tokens":17,"prompt_tokens_details":{"cached_tokens":1}}})");
}

TEST(CompletionResponseTest, AStreamHasTextAndReasonInOneChunk) {
  const auto stream = MakeCompletionStream(
      Head(), {.num_prompts = 2, .choices_per_prompt = 2, .include_usage = true});
  const std::vector<json::value> events = Events(*stream, kFour);
  std::vector<std::string> seen;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i].at("id").as_string(), "cmpl-1");
    EXPECT_TRUE(events[i].at("usage").is_null());
    const json::value& choice = events[i].at("choices").at(0);
    seen.push_back(json::serialize(
        json::array{choice.at("index"), choice.at("text"), choice.at("finish_reason")}));
  }
  EXPECT_EQ(seen, (std::vector<std::string>{R"([3,"d",null])", R"([0,"a","stop"])",
                                            R"([1,"b",null])", R"([2,"c","length"])",
                                            R"([1,"B","stop"])", R"([3,"","stop"])"}));
  EXPECT_TRUE(events.back().at("choices").as_array().empty());
  EXPECT_EQ(events.back().at("usage").at("total_tokens").as_int64(), 17);
}

// With echo: the prompt's tokens come once and stand before each choice's own.
const Input kEcho = {
    {0,
     R"(started { prompt { id: 1 text: 'h' } prompt { id: 2 text: '\303\251' logprob: -1.5 top { id: 3 text: 'x' logprob: -0.5 } } })"},
    {0, "choice: 0 text: 'h\303\251'"},
    {0, "choice: 1 text: 'h\303\251'"},
    {0,
     R"(choice: 0 text: '!' tokens { id: 4 text: '!' logprob: -0.125 } finish: FINISH_REASON_LENGTH)"},
    {0,
     R"(choice: 1 text: '?' tokens { id: 5 text: '?' logprob: -2 } finish: FINISH_REASON_LENGTH)"}};

TEST(CompletionResponseTest, EchoedPromptsHaveLogprobsAndOffsetsInCharacters) {
  for (const bool streamed : {false, true}) {
    SCOPED_TRACE(streamed);
    const CompletionReplyOptions options = {.choices_per_prompt = 2, .logprobs = true};
    const auto format =
        streamed ? MakeCompletionStream(Head(), options) : MakeCompletionReply(Head(), options);
    std::vector<json::array> tokens(2), logprobs(2), tops(2), offsets(2);
    for (const json::value& event : Events(*format, kEcho)) {
      for (const json::value& choice : event.at("choices").as_array()) {
        const size_t index = static_cast<size_t>(choice.at("index").as_int64());
        const json::value& lists = choice.at("logprobs");
        for (const json::value& v : lists.at("tokens").as_array()) tokens[index].push_back(v);
        for (const json::value& v : lists.at("token_logprobs").as_array()) {
          logprobs[index].push_back(v);
        }
        for (const json::value& v : lists.at("top_logprobs").as_array()) tops[index].push_back(v);
        for (const json::value& v : lists.at("text_offset").as_array()) offsets[index].push_back(v);
      }
    }
    EXPECT_EQ(json::serialize(tokens[0]), R"(["h","é","!"])");
    EXPECT_EQ(json::serialize(tokens[1]), R"(["h","é","?"])");
    EXPECT_EQ(json::serialize(logprobs[0]), "[null,-1.5E0,-1.25E-1]");
    EXPECT_EQ(json::serialize(tops[0]), R"([null,{"x":-5E-1,"é":-1.5E0},{"!":-1.25E-1}])");
    EXPECT_EQ(json::serialize(offsets[0]), "[0,1,2]");
    EXPECT_EQ(json::serialize(offsets[1]), "[0,1,2]");
  }
}

TEST(CompletionResponseTest, AMessageForAChoiceThatWasNotAskedForIsDropped) {
  const auto stream = MakeCompletionStream(Head(), {});
  EXPECT_TRUE(stream->OnMessage(0, Message("choice: 1 text: 'x'")).empty());
  const auto reply = MakeCompletionReply(Head(), {});
  reply->OnMessage(0, Message("choice: 4000000000 text: 'x'"));
  EXPECT_EQ(json::parse(reply->Finish()).at("choices").at(0).at("text").as_string(), "");
}

}  // namespace
}  // namespace skein
