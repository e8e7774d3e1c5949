// From a worker that writes as fast as it can, through the HTTP server, to a client that does not
// read.
#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "gateway/http/http_server.h"
#include "tests/gateway/endpoints/endpoint_fixture.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

constexpr int kMessages = 3000;
constexpr size_t kMessageBytes = 8 << 10;

FakeGeneration Flood() {
  FakeGeneration script = SayPieces({});
  script.steps.clear();
  v1::GenerateResponse message;
  message.set_text(std::string(kMessageBytes, 'x'));
  for (int i = 0; i < kMessages; ++i) script.steps.push_back({message, absl::ZeroDuration()});
  script.steps.back().message.set_finish(v1::FINISH_REASON_STOP);
  return script;
}

class SlowReaderTest : public EndpointTest {
 protected:
  SlowReaderTest() {
    worker_.OnGenerate([](const v1::GenerateRequest&) { return Flood(); });
    HttpServerOptions options;
    options.listen = "127.0.0.1:0";
    options.access_log = false;
    auto server = HttpServer::Start(
        options,
        [this](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
          HandleRequest(request, context_, std::move(out));
        },
        metrics_);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  ~SlowReaderTest() override { server_.reset(); }

  // A client that has asked for `prompts` floods at once.
  std::unique_ptr<HttpClient> Ask(int prompts, const char* more) {
    auto client = std::make_unique<HttpClient>(server_->port(), absl::Seconds(60));
    std::string body = R"({"model":"fake","prompt":["a")";
    for (int i = 1; i < prompts; ++i) absl::StrAppend(&body, R"(,"a")");
    absl::StrAppend(&body, "]", more, "}");
    EXPECT_TRUE(client->Send("POST", "/v1/completions", body).ok());
    return client;
  }

  // Messages that the worker has handed to gRPC when it does not get rid of any more.
  int WaitUntilHeldBack() {
    int before = -1;
    while (before != worker_.num_messages()) {
      before = worker_.num_messages();
      absl::SleepFor(absl::Milliseconds(300));
    }
    return before;
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(SlowReaderTest, HoldsEachOfItsCallsBack) {
  constexpr int kPrompts = 3;
  const auto client = Ask(kPrompts, R"(,"stream":true)");
  ASSERT_TRUE(client->ReadHead().ok());
  const int sent = WaitUntilHeldBack();
  EXPECT_GT(sent, 0);
  // What windows and buffers on the way hold of a call, and not the 24 MB that it would send.
  EXPECT_LT(sent * kMessageBytes, kPrompts * (size_t{512} << 10));
  std::cout << "of " << kPrompts * kMessages << " messages " << sent
            << " were sent to a client that did not read\n";
  int received = 0;
  while (true) {
    const auto event = client->NextEvent();
    ASSERT_TRUE(event.ok()) << event.status();
    if (!event->has_value()) break;
    if (absl::StrContains((*event)->data, "xxx")) ++received;
  }
  EXPECT_EQ(received, kPrompts * kMessages);
}

TEST_F(SlowReaderTest, IsStillCutOffAtItsDeadline) {
  config::v1::LimitsConfig& limits = *context_.config.mutable_limits();
  limits.set_request_timeout_s(2);
  const auto client = Ask(2, R"(,"stream":true)");
  ASSERT_TRUE(client->ReadHead().ok());
  EXPECT_TRUE(worker_.WaitForCancelled(2));
  EXPECT_TRUE(WaitForCalls(absl::Seconds(5))) << "nothing of the request waits for the client";
}

TEST_F(SlowReaderTest, FreesTheWorkerWhenItLeaves) {
  const auto client = Ask(2, R"(,"stream":true)");
  ASSERT_TRUE(client->ReadHead().ok());
  WaitUntilHeldBack();
  client->Abort();
  EXPECT_TRUE(worker_.WaitForCancelled(2));
  EXPECT_TRUE(WaitForCalls(absl::Seconds(5)));
}

// It is not sent before it is complete.
TEST_F(SlowReaderTest, AWholeAnswerIsReadToItsEnd) {
  const auto client = Ask(1, "");
  const absl::Time end = absl::Now() + absl::Seconds(30);
  while (worker_.num_messages() < kMessages && absl::Now() < end) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(worker_.num_messages(), kMessages);
  const auto response = client->ReadResponse();
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_GT(response->body.size(), kMessages * kMessageBytes);
}

}  // namespace
}  // namespace skein
