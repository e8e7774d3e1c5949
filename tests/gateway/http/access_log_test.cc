#include "gateway/http/access_log.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

HttpRequest ChatRequest() {
  HttpRequest request;
  request.method = Method::kPost;
  request.path = "/v1/chat/completions";
  request.body = "secret";
  request.request_id = "req-1";
  request.trace = {.trace_id = "t", .span_id = "s"};
  return request;
}

std::string Line(const HttpRequest& request, const AccessEnd& end) {
  return TextLogLine("", "info", "request", AccessLogFields(request, request.access->facts(), end));
}

TEST(AccessLogTest, ALineTellsWhatIsKnown) {
  const HttpRequest request = ChatRequest();
  request.access->Update([](AccessFacts& facts) {
    facts.route = "/v1/chat/completions";
    facts.key = "team-a";
    facts.model = "demo";
    facts.worker = "10.0.0.1:50051";
    facts.prompt_tokens = 12;
    facts.completion_tokens = 34;
    facts.finish_reason = "stop";
    facts.queue_wait = absl::Microseconds(250);
    facts.first_token = absl::Milliseconds(42);
  });
  EXPECT_EQ(Line(request, {.status = 200,
                           .client = "127.0.0.1:5",
                           .request_bytes = 6,
                           .response_bytes = 789,
                           .total = absl::Milliseconds(1500)}),
            "level=info event=\"request\" request=req-1 trace_id=t span_id=s client=127.0.0.1:5 "
            "method=POST route=/v1/chat/completions status=200 key=team-a model=demo "
            "worker=10.0.0.1:50051 prompt_tokens=12 completion_tokens=34 finish_reason=stop "
            "queue_ms=0.25 first_token_ms=42 total_ms=1500 request_bytes=6 response_bytes=789");
}

TEST(AccessLogTest, WhatIsUnknownIsLeftOutAndForeignPathsAreCut) {
  HttpRequest request = ChatRequest();
  request.method = Method::kOther;
  request.path = "/" + std::string(1000, 'a');
  EXPECT_EQ(Line(request, {.status = 404, .client = "[::1]:5", .total = absl::Milliseconds(1)}),
            "level=info event=\"request\" request=req-1 trace_id=t span_id=s client=[::1]:5 "
            "method=other route=other status=404 path=/" +
                std::string(255, 'a') + " total_ms=1 request_bytes=0 response_bytes=0");
}

TEST(AccessLogTest, AProxyThatToldOfTheClientIsNamed) {
  const std::string line =
      Line(ChatRequest(), {.status = 200, .client = "203.0.113.7", .proxy = "10.0.0.1:5"});
  EXPECT_NE(line.find(" client=203.0.113.7 proxy=10.0.0.1:5 method="), std::string::npos) << line;
}

TEST(AccessLogTest, AFailedGenerationIsNamed) {
  const HttpRequest request = ChatRequest();
  request.access->Update([](AccessFacts& facts) { facts.error = "unavailable"; });
  EXPECT_NE(Line(request, {.status = 200}).find(" error=unavailable "), std::string::npos);
}

TEST(AccessLogTest, ProbesThatGoWellAreForDebugging) {
  AccessFacts facts;
  EXPECT_EQ(AccessLogLevel(facts, 200), LogLevel::kInfo);
  facts.is_probe = true;
  EXPECT_EQ(AccessLogLevel(facts, 200), LogLevel::kDebug);
  EXPECT_EQ(AccessLogLevel(facts, 503), LogLevel::kInfo);
}

}  // namespace
}  // namespace skein
