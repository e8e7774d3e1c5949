// Chat and plain completions through HandleRequest, with a fake worker at the other end.
#include "gateway/endpoints/generation_run.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "boost/json/serialize.hpp"
#include "gtest/gtest.h"

#include "tests/gateway/endpoints/endpoint_fixture.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr char kChat[] = "/v1/chat/completions";
constexpr char kCompletions[] = "/v1/completions";

std::string ChatBody(const std::string& more = "") {
  return absl::StrCat(R"({"model":"fake","messages":[{"role":"user","content":"hi"}])", more, "}");
}

FakeGeneration FailWith(absl::Status status, int messages_before = 0) {
  FakeGeneration generation = SayPieces({"a", "b", "c"});
  generation.steps.resize(static_cast<size_t>(messages_before));
  generation.status = std::move(status);
  return generation;
}

// Texts for ever, until the call is cancelled.
FakeGeneration Endless() {
  FakeGeneration generation = SayPieces({"a", "b"});
  generation.steps.pop_back();
  generation.delay_before_end = absl::InfiniteDuration();
  return generation;
}

class GenerationRunTest : public EndpointTest {
 protected:
  // The events of a stream that ends.
  std::vector<std::string> Stream(const std::string& path, const std::string& body) {
    const auto out = Start(Method::kPost, path, body);
    EXPECT_TRUE(out->WaitForAnswer());
    EXPECT_TRUE(out->closed()) << out->response().body;
    return out->events();
  }
};

TEST_F(GenerationRunTest, AChatIsAnsweredWhole) {
  const HttpResponse response = Ask(Method::kPost, kChat, ChatBody());
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  const json::value body = json::parse(response.body);
  EXPECT_TRUE(absl::StartsWith(std::string(body.at("id").as_string()), "chatcmpl-"));
  EXPECT_EQ(body.at("model").as_string(), "fake");
  EXPECT_EQ(body.at("system_fingerprint").as_string(), FakeModelInfo("fake").fingerprint());
  EXPECT_NEAR(body.at("created").to_number<double>(),
              absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()), 60);
  EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "Hello, world");
  EXPECT_TRUE(body.at("choices").at(0).at("finish_reason").is_string());
  EXPECT_GT(body.at("usage").at("total_tokens").to_number<int>(), 0);
}

TEST_F(GenerationRunTest, AChatIsStreamed) {
  const std::vector<std::string> events =
      Stream(kChat, ChatBody(R"(,"stream":true,"stream_options":{"include_usage":true})"));
  ASSERT_GE(events.size(), 7u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text;
  std::set<std::string> heads;
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json::value chunk = json::parse(events[i]);
    heads.insert(absl::StrCat(json::serialize(chunk.at("id")), json::serialize(chunk.at("created")),
                              json::serialize(chunk.at("model")),
                              json::serialize(chunk.at("system_fingerprint"))));
    if (chunk.at("choices").as_array().empty()) continue;
    const json::object& delta = chunk.at("choices").at(0).at("delta").as_object();
    EXPECT_EQ(i == 0, delta.contains("role"));
    if (delta.contains("content")) text += std::string(delta.at("content").as_string());
  }
  EXPECT_EQ(text, "Hello, world");
  EXPECT_EQ(heads.size(), 1u);
  const json::value last = json::parse(events[events.size() - 2]);
  EXPECT_TRUE(last.at("choices").as_array().empty());
  EXPECT_TRUE(last.at("usage").is_object());
  for (const char* series : {R"(skein_gateway_first_token_seconds_count{model="fake"} 1)",
                             R"(skein_gateway_inter_token_seconds_count{model="fake"} 2)"}) {
    EXPECT_TRUE(absl::StrContains(registry_.Text(), series)) << series << registry_.Text();
  }
  EXPECT_TRUE(
      absl::StrContains(registry_.Text(), R"(route="/v1/chat/completions",status="200"} 1)"));
}

TEST_F(GenerationRunTest, TheRequestReachesTheWorkerWithItsIdsAndDeadline) {
  headers_ = {{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
  Ask(Method::kPost, kChat, ChatBody(R"(,"temperature":0,"n":2,"seed":5)"));
  const std::vector<SeenCall> calls = worker_.calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0].request.model(), "fake");
  EXPECT_EQ(calls[0].request.prompt().chat().turns(0).content(), "hi");
  EXPECT_EQ(calls[0].request.n(), 2u);
  EXPECT_TRUE(calls[0].request.sampling().has_temperature());
  EXPECT_EQ(calls[0].request.sampling().seed(), 5u);
  EXPECT_EQ(calls[0].metadata.at("x-request-id"), "req-test");
  const std::string traceparent = calls[0].metadata.at("traceparent");
  EXPECT_EQ(traceparent.substr(0, 36), headers_[0].second.substr(0, 36)) << "the same trace";
  EXPECT_NE(traceparent.substr(36, 16), headers_[0].second.substr(36, 16)) << "a new span";
  EXPECT_LE(calls[0].time_left, absl::Seconds(601));
  EXPECT_GT(calls[0].time_left, absl::Seconds(500));
}

TEST_F(GenerationRunTest, TheAccessRecordTellsTheWholeStory) {
  Ask(Method::kPost, kChat, ChatBody());
  const AccessFacts facts = record_->facts();
  EXPECT_EQ(facts.route, kChat);
  EXPECT_EQ(facts.model, "fake");
  EXPECT_EQ(facts.worker, worker_.address());
  EXPECT_EQ(facts.finish_reason, "stop");
  EXPECT_GT(facts.prompt_tokens, 0);
  EXPECT_GT(facts.completion_tokens, 0);
  EXPECT_EQ(facts.error, "");
  EXPECT_TRUE(facts.first_token.has_value());
  EXPECT_TRUE(facts.queue_wait.has_value());
}

TEST_F(GenerationRunTest, AStreamThatFailsIsCountedAndNamedInTheRecord) {
  worker_.OnGenerate(
      [](const v1::GenerateRequest&) { return FailWith(absl::InternalError("broken"), 2); });
  Stream(kChat, ChatBody(R"(,"stream":true)"));
  EXPECT_EQ(record_->facts().error, "internal");
  EXPECT_TRUE(absl::StrContains(registry_.Text(),
                                R"(skein_gateway_failed_streams_total{error="internal"} 1)"))
      << registry_.Text();
}

TEST_F(GenerationRunTest, ATraceparentThatIsNoneIsReplaced) {
  headers_ = {{"traceparent", "00-\xff"}};
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 200);
  const std::vector<SeenCall> calls = worker_.calls();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(ParseTraceparent(calls[0].metadata.at("traceparent")).has_value());
}

TEST_F(GenerationRunTest, EveryPromptIsACallAndItsChoicesKeepTheirPlaces) {
  worker_.OnGenerate([](const v1::GenerateRequest& request) {
    FakeGeneration both = SayPieces({});
    both.steps.clear();
    for (uint32_t choice = 0; choice < 2; ++choice) {
      v1::GenerateResponse message;
      message.set_choice(choice);
      message.set_text(absl::StrCat(request.prompt().text(), choice));
      message.set_finish(v1::FINISH_REASON_LENGTH);
      if (choice == 1) message.mutable_usage()->set_completion_tokens(2);
      both.steps.push_back({message, request.prompt().text() == "a" ? absl::Milliseconds(30)
                                                                    : absl::ZeroDuration()});
    }
    return both;
  });
  const std::string body = R"({"model":"fake","prompt":["a","b","c"],"n":2)";
  const json::value reply = json::parse(Ask(Method::kPost, kCompletions, body + "}").body);
  std::string texts;
  for (const json::value& choice : reply.at("choices").as_array()) {
    absl::StrAppend(&texts, choice.at("index").as_int64(), "=",
                    std::string(choice.at("text").as_string()), " ");
  }
  EXPECT_EQ(texts, "0=a0 1=a1 2=b0 3=b1 4=c0 5=c1 ");
  EXPECT_EQ(reply.at("usage").at("completion_tokens").as_int64(), 6);
  EXPECT_EQ(worker_.calls().size(), 3u);

  std::set<std::string> streamed;
  const std::vector<std::string> events = Stream(kCompletions, body + R"(,"stream":true})");
  EXPECT_EQ(events.back(), "[DONE]");
  for (size_t i = 0; i + 1 < events.size(); ++i) {
    const json::value choice = json::parse(events[i]).at("choices").at(0);
    streamed.insert(absl::StrCat(choice.at("index").as_int64(), "=",
                                 std::string(choice.at("text").as_string())));
  }
  EXPECT_EQ(streamed, (std::set<std::string>{"0=a0", "1=a1", "2=b0", "3=b1", "4=c0", "5=c1"}));
}

TEST_F(GenerationRunTest, AnErrorBeforeTheFirstMessageHasItsStatus) {
  struct Case {
    absl::Status status;
    int http;
    const char* retry_after;
  };
  for (const Case& c :
       {Case{absl::InvalidArgumentError("prompt: 9 tokens, expected at most 8"), 400, ""},
        Case{absl::ResourceExhaustedError("the queue is full"), 429, "1"},
        Case{absl::UnimplementedError("echo is not built"), 501, ""},
        Case{absl::UnavailableError("draining"), 503, "1"},
        Case{absl::DeadlineExceededError("too late"), 504, ""},
        Case{absl::InternalError("broken"), 500, ""}}) {
    worker_.OnGenerate([&c](const v1::GenerateRequest&) { return FailWith(c.status); });
    for (const char* stream : {"false", "true"}) {
      SCOPED_TRACE(absl::StrCat(c.http, " ", stream));
      const HttpResponse response =
          Ask(Method::kPost, kChat, ChatBody(absl::StrCat(",\"stream\":", stream)));
      EXPECT_EQ(response.status, c.http);
      EXPECT_EQ(Header(response, "Retry-After"), c.retry_after);
      EXPECT_TRUE(absl::StrContains(response.body, std::string(c.status.message())))
          << response.body;
      EXPECT_EQ(ErrorMember(response.body, "param"),
                c.http == 400 ? json::value("messages") : json::value());
      EXPECT_EQ(absl::StrContains(response.body, "(request req-test)"), c.http == 500);
    }
  }
}

TEST_F(GenerationRunTest, AWorkerThatDiesIsNotNamedToTheClient) {
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  const auto out = Start(Method::kPost, kChat, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(out->WaitForEvents(1));
  worker_.Stop();
  ASSERT_TRUE(out->WaitForAnswer());
  const std::string port = worker_.address().substr(worker_.address().find(':') + 1);
  EXPECT_FALSE(absl::StrContains(out->events().back(), port)) << out->events().back();
  EXPECT_TRUE(ErrorMember(out->events().back(), "message").is_string());
  const HttpResponse response = Ask(Method::kPost, kChat, ChatBody());
  EXPECT_EQ(response.status, 503);
  EXPECT_FALSE(absl::StrContains(response.body, port)) << response.body;
}

TEST_F(GenerationRunTest, AnErrorInAStreamIsItsLastEvent) {
  worker_.OnGenerate(
      [](const v1::GenerateRequest&) { return FailWith(absl::InternalError("broken"), 2); });
  const std::vector<std::string> events = Stream(kChat, ChatBody(R"(,"stream":true)"));
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(ErrorMember(events.back(), "type").as_string(), "server_error");
  EXPECT_EQ(ErrorMember(events.back(), "message").as_string(), "broken (request req-test)");
  for (const std::string& event : events) EXPECT_NE(event, "[DONE]");
}

TEST_F(GenerationRunTest, AStreamBeginsBeforeTheFirstMessageIfTheClientHasWaitedForLong) {
  for (const bool fails : {false, true}) {
    SCOPED_TRACE(fails);
    worker_.OnGenerate([fails](const v1::GenerateRequest&) {
      FakeGeneration slow =
          fails ? FailWith(absl::DeadlineExceededError("too late")) : SayPieces({"late"});
      if (fails) slow.delay_before_end = absl::Milliseconds(300);
      if (!fails) slow.steps[0].delay = absl::Milliseconds(300);
      return slow;
    });
    const auto out = Start(Method::kPost, kChat, ChatBody(R"(,"stream":true)"));
    EXPECT_EQ(out->num_answers(), 0);
    out->Wait();
    EXPECT_EQ(out->num_answers(), 1);
    EXPECT_TRUE(out->events().empty());
    ASSERT_TRUE(out->WaitForAnswer());
    EXPECT_TRUE(out->closed());
    EXPECT_EQ(out->num_answers(), 1);
    const std::vector<std::string> events = out->events();
    if (fails) {
      ASSERT_EQ(events.size(), 1u);
      EXPECT_EQ(ErrorMember(events[0], "code").as_string(), "deadline_exceeded");
    } else {
      EXPECT_TRUE(absl::StrContains(events.front(), R"("role":"assistant")")) << events.front();
      EXPECT_EQ(events.back(), "[DONE]");
    }
  }
}

TEST_F(GenerationRunTest, AWholeAnswerWaitsForItsEnd) {
  worker_.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration slow = SayPieces({"late"});
    slow.steps[0].delay = absl::Milliseconds(100);
    return slow;
  });
  const auto out = Start(Method::kPost, kChat, ChatBody());
  out->Wait();
  ASSERT_TRUE(out->WaitForAnswer());
  EXPECT_EQ(out->response().status, 200);
  EXPECT_EQ(out->num_answers(), 1);
}

TEST_F(GenerationRunTest, AWholeAnswerThatFailsHalfWayIsAnError) {
  worker_.OnGenerate(
      [](const v1::GenerateRequest&) { return FailWith(absl::UnavailableError("gone"), 2); });
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 503);
}

TEST_F(GenerationRunTest, AnEndWithoutAReasonIsAFaultAndNotAnAnswer) {
  worker_.OnGenerate([](const v1::GenerateRequest&) { return FailWith(absl::OkStatus(), 2); });
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 500);
  const std::vector<std::string> events = Stream(kChat, ChatBody(R"(,"stream":true)"));
  EXPECT_TRUE(absl::StrContains(events.back(), "before every choice was finished"))
      << events.back();
}

TEST_F(GenerationRunTest, AFailureOfOnePromptEndsTheOthers) {
  worker_.OnGenerate([this](const v1::GenerateRequest& request) {
    if (request.prompt().text() != "bad") return Endless();
    EXPECT_TRUE(worker_.WaitForRunning(3));  // or the others may be cancelled on their way here
    return FailWith(absl::ResourceExhaustedError("full"));
  });
  EXPECT_EQ(
      Ask(Method::kPost, kCompletions, R"({"model":"fake","prompt":["good","bad","good"]})").status,
      429);
  EXPECT_TRUE(worker_.WaitForCancelled(2));
}

TEST_F(GenerationRunTest, AClientThatLeavesCancelsEveryCall) {
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  const auto out =
      Start(Method::kPost, kCompletions, R"({"model":"fake","prompt":["a","b"],"stream":true})");
  ASSERT_TRUE(out->WaitForEvents(2));
  ASSERT_TRUE(worker_.WaitForRunning(2));
  out->Leave();
  EXPECT_TRUE(worker_.WaitForCancelled(2));
  ASSERT_TRUE(WaitForCalls(absl::Seconds(20)));
  EXPECT_TRUE(absl::StrContains(registry_.Text(), R"(route="/v1/completions",status="499"} 1)"))
      << registry_.Text();
}

TEST_F(GenerationRunTest, AClientThatIsBehindHoldsEveryCallBack) {
  worker_.OnGenerate([](const v1::GenerateRequest& request) {
    return SayPieces({request.prompt().text(), "!"}, absl::Milliseconds(30));
  });
  const auto out =
      Start(Method::kPost, kCompletions, R"({"model":"fake","prompt":["a","b"],"stream":true})");
  out->SetBehind(true);
  ASSERT_TRUE(out->WaitForEvents(2));
  absl::SleepFor(absl::Milliseconds(200));
  EXPECT_EQ(out->events().size(), 2u) << "one of each call";
  out->SetBehind(false);
  ASSERT_TRUE(out->WaitForAnswer());
  std::string text;
  for (const std::string& event : out->events()) {
    if (event == "[DONE]") break;
    text += std::string(json::parse(event).at("choices").at(0).at("text").as_string());
  }
  std::sort(text.begin(), text.end());
  EXPECT_EQ(text, "!!ab");
}

TEST_F(GenerationRunTest, DeadlinesAndCancelsReachCallsThatAreHeldBack) {
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  const std::string body = R"({"model":"fake","prompt":["a","b"],"stream":true})";
  headers_ = {{"x-request-timeout-ms", "500"}};
  const auto late = Start(Method::kPost, kCompletions, body);
  late->SetBehind(true);
  headers_.clear();
  const auto gone = Start(Method::kPost, kCompletions, body);
  gone->SetBehind(true);
  ASSERT_TRUE(worker_.WaitForRunning(4));
  gone->Leave();
  EXPECT_TRUE(worker_.WaitForCancelled(4));
  ASSERT_TRUE(late->WaitForAnswer());
  EXPECT_EQ(ErrorMember(late->events().back(), "code").as_string(), "deadline_exceeded");
  EXPECT_TRUE(WaitForCalls(absl::Seconds(5)));
}

TEST_F(GenerationRunTest, AWholeAnswerIsReadOn) {
  const auto out = Start(Method::kPost, kChat, ChatBody());
  out->SetBehind(true);
  ASSERT_TRUE(out->WaitForAnswer());
  EXPECT_EQ(out->response().status, 200);
}

TEST_F(GenerationRunTest, AGatewayThatEndsSaysSo) {
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  const auto whole = Start(Method::kPost, kChat, ChatBody());
  const auto stream = Start(Method::kPost, kChat, ChatBody(R"(,"stream":true)"));
  ASSERT_TRUE(stream->WaitForEvents(1));
  ASSERT_TRUE(worker_.WaitForRunning(2));
  for (const auto& out : {whole, stream}) {
    out->Shutdown();
    ASSERT_TRUE(out->WaitForAnswer());
  }
  EXPECT_EQ(whole->response().status, 503);
  EXPECT_EQ(ErrorMember(stream->events().back(), "code").as_string(), "unavailable");
  EXPECT_TRUE(worker_.WaitForCancelled(2));
}

TEST_F(GenerationRunTest, ADeadlineThatPassesIs504) {
  context_.config.mutable_limits()->set_request_timeout_s(1);
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 504);
  const std::vector<std::string> events = Stream(kChat, ChatBody(R"(,"stream":true)"));
  EXPECT_EQ(ErrorMember(events.back(), "code").as_string(), "deadline_exceeded");
}

TEST_F(GenerationRunTest, AnUnknownModelIs404AndABadBody400) {
  const HttpResponse unknown =
      Ask(Method::kPost, kChat, R"({"model":"gpt","messages":[{"role":"user","content":"hi"}]})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(ErrorMember(unknown.body, "code").as_string(), "model_not_found");
  const HttpResponse bad = Ask(Method::kPost, kChat, ChatBody(R"(,"temperature":3)"));
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(ErrorMember(bad.body, "param").as_string(), "temperature");
  EXPECT_TRUE(worker_.calls().empty());
}

TEST_F(GenerationRunTest, IdsDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) {
    ids.emplace(json::parse(Ask(Method::kPost, kChat, ChatBody()).body).at("id").as_string());
  }
  EXPECT_EQ(ids.size(), 20u);
}

TEST_F(GenerationRunTest, AClientMaySetANearerDeadline) {
  headers_ = {{"x-request-timeout-ms", "2500"}};
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 200);
  EXPECT_LE(worker_.calls()[0].time_left, absl::Seconds(2.6));  // gRPC rounds up
  EXPECT_GT(worker_.calls()[0].time_left, absl::Seconds(1));

  headers_ = {{"x-request-timeout-ms", "300"}};
  worker_.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  EXPECT_EQ(Ask(Method::kPost, kChat, ChatBody()).status, 504);
  EXPECT_TRUE(worker_.WaitForCancelled(1));

  for (const char* bad : {"0", "-1", "1.5", "600001", "soon", "99999999999999999999"}) {
    headers_ = {{"x-request-timeout-ms", bad}};
    for (const char* path : {kChat, "/v1/tokenize"}) {
      const std::string body = path == kChat ? ChatBody() : R"({"model":"fake","prompt":"x"})";
      const HttpResponse response = Ask(Method::kPost, path, body);
      EXPECT_EQ(response.status, 400) << bad;
      EXPECT_EQ(ErrorMember(response.body, "param"), "x-request-timeout-ms");
    }
  }
}

}  // namespace
}  // namespace skein
