#include "tools/skeinctl/api_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/tools/skeinctl/scripted_server.h"

namespace skein::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ApiClient ClientOf(const ScriptedServer& server) {
  return ApiClient(ParseUrl(server.url()).value(), absl::Seconds(10));
}

GenerateCall ChatCall() {
  GenerateCall call;
  call.model = "m";
  call.prompt = Turns{{"user", "Hi"}};
  return call;
}

TEST(ApiClientTest, JoinsTheStreamedTextAndItsUsage) {
  std::string request;
  ScriptedServer server([&request](const std::string& line, const std::string& body) {
    request = line + "\n" + body;
    return EventsAnswer(
        {R"({"id":"c1","choices":[{"delta":{"role":"assistant","content":""}}]})",
         R"({"id":"c1","choices":[{"delta":{"content":"Hel"},"finish_reason":null}]})",
         R"({"id":"c1","choices":[{"delta":{"content":"lo"},"finish_reason":null}]})",
         R"({"id":"c1","choices":[{"delta":{},"finish_reason":"stop"}],"usage":null})",
         R"({"id":"c1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})",
         "[DONE]"});
  });
  GenerateCall call = ChatCall();
  call.seed = 7;
  std::vector<std::string> pieces;
  call.on_text = [&pieces](absl::string_view text) {
    pieces.emplace_back(text);
    return true;
  };
  const auto answer = ClientOf(server).Generate(call);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->text, "Hello");
  EXPECT_EQ(answer->id, "c1");
  EXPECT_EQ(answer->finish_reason, "stop");
  EXPECT_EQ(answer->prompt_tokens, 3);
  EXPECT_EQ(answer->completion_tokens, 2);
  EXPECT_THAT(pieces, ElementsAre("Hel", "lo"));
  EXPECT_THAT(request, HasSubstr("POST /v1/chat/completions"));
  EXPECT_THAT(request, HasSubstr(R"("messages":[{"role":"user","content":"Hi"}])"));
  EXPECT_THAT(request, HasSubstr(R"("seed":7)"));
  EXPECT_THAT(request, HasSubstr(R"("include_usage":true)"));
}

TEST(ApiClientTest, ReadsAWholeCompletionOfTokens) {
  std::string request;
  ScriptedServer server([&request](const std::string& line, const std::string& body) {
    request = line + "\n" + body;
    return JsonAnswer(200, R"({"id":"c2","choices":[{"text":"abc","finish_reason":"length"}],
                               "usage":{"prompt_tokens":2,"completion_tokens":5}})");
  });
  GenerateCall call = ChatCall();
  call.prompt = TokenIds{4, 5};
  call.stream = false;
  const auto answer = ClientOf(server).Generate(call);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->text, "abc");
  EXPECT_THAT(request, HasSubstr("POST /v1/completions"));
  EXPECT_THAT(request, HasSubstr(R"("prompt":[4,5])"));
}

TEST(ApiClientTest, StreamsThatBreakTheirPromiseAreErrors) {
  const std::string text =
      R"({"id":"c","choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]})";
  const std::string usage = R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})";
  struct Case {
    const char* name;
    std::vector<std::string> events;
    absl::StatusCode code;
    const char* message;
  };
  for (const Case& c : {
           Case{"no end", {text, usage}, absl::StatusCode::kDataLoss, "[DONE]"},
           Case{"no usage", {text, "[DONE]"}, absl::StatusCode::kDataLoss, "no usage"},
           Case{"no reason", {usage, "[DONE]"}, absl::StatusCode::kDataLoss, "finish_reason"},
           Case{"not JSON", {"{", "[DONE]"}, absl::StatusCode::kDataLoss, "not a JSON object"},
           Case{"a late deadline",
                {text, R"({"error":{"message":"too slow","code":"deadline_exceeded"}})"},
                absl::StatusCode::kDeadlineExceeded,
                "too slow"},
           Case{"an error",
                {text, R"({"error":{"message":"worker lost"}})"},
                absl::StatusCode::kInternal,
                "worker lost"},
       }) {
    SCOPED_TRACE(c.name);
    ScriptedServer server(
        [&c](const std::string&, const std::string&) { return EventsAnswer(c.events); });
    const auto answer = ClientOf(server).Generate(ChatCall());
    EXPECT_EQ(answer.status().code(), c.code) << answer.status();
    EXPECT_THAT(std::string(answer.status().message()), HasSubstr(c.message));
  }
}

TEST(ApiClientTest, ErrorAnswersBecomeStatuses) {
  struct Case {
    int http;
    absl::StatusCode code;
  };
  for (const Case& c :
       {Case{400, absl::StatusCode::kInvalidArgument}, Case{404, absl::StatusCode::kNotFound},
        Case{413, absl::StatusCode::kInvalidArgument},
        Case{429, absl::StatusCode::kResourceExhausted}, Case{500, absl::StatusCode::kInternal},
        Case{503, absl::StatusCode::kUnavailable},
        Case{504, absl::StatusCode::kDeadlineExceeded}}) {
    ScriptedServer server([&c](const std::string&, const std::string&) {
      return JsonAnswer(c.http, R"({"error":{"message":"because"}})");
    });
    const absl::Status status = ClientOf(server).Generate(ChatCall()).status();
    EXPECT_EQ(status.code(), c.code);
    EXPECT_THAT(std::string(status.message()), HasSubstr("because"));
  }
}

TEST(ApiClientTest, TokensNeedAnIdAndATextEach) {
  struct Case {
    const char* body;
    bool good;
  };
  for (const Case& c :
       {Case{R"({"tokens":[7],"token_strs":["a"]})", true},
        Case{R"({"tokens":[],"token_strs":[]})", true}, Case{R"({"tokens":[7]})", false},
        Case{R"({"tokens":[7,8],"token_strs":["a"]})", false},
        Case{R"({"tokens":["a"],"token_strs":["a"]})", false}}) {
    ScriptedServer server(
        [&c](const std::string&, const std::string&) { return JsonAnswer(200, c.body); });
    const auto tokens = ClientOf(server).Tokenize("m", "a");
    EXPECT_EQ(tokens.ok(), c.good) << c.body << tokens.status();
  }
}

TEST(ApiClientTest, ChoosesTheOnlyModel) {
  struct Case {
    const char* list;
    absl::StatusCode code;
  };
  for (const Case& c :
       {Case{R"({"data":[{"id":"a"}]})", absl::StatusCode::kOk},
        Case{R"({"data":[{"id":"a","base_model":null},{"id":"a b","base_model":"a"}]})",
             absl::StatusCode::kOk},
        Case{R"({"data":[]})", absl::StatusCode::kNotFound},
        Case{R"({"data":[{"id":"a"},{"id":"b"}]})", absl::StatusCode::kInvalidArgument},
        Case{R"([])", absl::StatusCode::kDataLoss}}) {
    ScriptedServer server(
        [&c](const std::string&, const std::string&) { return JsonAnswer(200, c.list); });
    ApiClient client = ClientOf(server);
    EXPECT_EQ(client.ChooseModel("").status().code(), c.code) << c.list;
    EXPECT_EQ(client.ChooseModel("named").value(), "named");
  }
}

}  // namespace
}  // namespace skein::ctl
