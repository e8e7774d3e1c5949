// Workers that come, go and are killed behind one gateway.
#include <csignal>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/http_client.h"
#include "tools/skeinctl/api_client.h"

namespace skein {
namespace {

constexpr char kSum[] =
    R"({"model":"demo","temperature":0,"messages":[{"role":"user","content":"What is 345 + 278?"}],"user":")";
// Goes on until somebody ends it.
constexpr char kLongStream[] =
    R"({"model":"demo","stream":true,"ignore_eos":true,"max_tokens":4000,"prompt":"Tell me a story"})";

// With status 0 and the connection's error as the body if there was no answer.
// Other users' requests may go to other workers.
ClientResponse AskSum(const GatewayServer& gateway, int user = 0) {
  const auto response =
      HttpPost(gateway.port(), "/v1/chat/completions", absl::StrCat(kSum, user, "\"}"));
  if (response.ok()) return *response;
  ClientResponse none;
  none.body = response.status().ToString();
  return none;
}

void ExpectRightSum(const GatewayServer& gateway, int user = 0) {
  const ClientResponse response = AskSum(gateway, user);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_TRUE(absl::StrContains(response.body, "\"content\":\"623\"")) << response.body;
}

TEST(FailoverTest, AKilledWorkerIs503UntilItReturns) {
  auto worker = WorkerServer::Start({});
  ASSERT_TRUE(worker.ok()) << worker.status();
  const std::string address = (*worker)->address();
  auto gateway = GatewayServer::Start({address});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  ExpectRightSum(**gateway);

  HttpClient stream((*gateway)->port(), Patience(20));
  ASSERT_EQ(
      stream.Send("POST", "/v1/completions", kLongStream, {{"content-type", "application/json"}}),
      absl::OkStatus());
  ASSERT_EQ(stream.ReadHead().value().status, 200);
  ASSERT_TRUE(stream.NextEvent().value().has_value());
  (*worker)->process().Signal(SIGKILL);

  std::string last;
  for (auto event = stream.NextEvent(); event.ok() && event->has_value();
       event = stream.NextEvent()) {
    if (!(*event)->data.empty()) last = (*event)->data;
  }
  EXPECT_TRUE(absl::StrContains(last, "\"error\"")) << last;
  EXPECT_EQ((*gateway)->WaitReady(false, Patience(5)), absl::OkStatus());
  const ClientResponse refused = AskSum(**gateway);
  EXPECT_EQ(refused.status, 503) << refused.body;
  EXPECT_TRUE(absl::StrContains(refused.body, "server_error")) << refused.body;

  auto again = WorkerServer::Start({.listen = address});
  ASSERT_TRUE(again.ok()) << again.status();
  ASSERT_EQ((*gateway)->WaitReady(true, Patience(10)), absl::OkStatus());
  ExpectRightSum(**gateway);
}

TEST(FailoverTest, TwoWorkersShareTheRequestsAndOneMayLeave) {
  auto first = WorkerServer::Start({});
  auto second = WorkerServer::Start({});
  ASSERT_TRUE(first.ok() && second.ok()) << first.status() << second.status();
  auto gateway = GatewayServer::Start({(*first)->address(), (*second)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const auto taken = [](const WorkerServer& worker) {
    return worker.Metric("skein_worker_requests_total").value_or(0);
  };
  // Ready means that one is; the other one follows.
  for (int i = 0; i < 200 && (taken(**first) < 5 || taken(**second) < 5); ++i) {
    ExpectRightSum(**gateway, i);
  }
  EXPECT_GE(taken(**first), 5);
  EXPECT_GE(taken(**second), 5);

  // Draining is invisible to clients.
  std::jthread stopper([&first] { EXPECT_EQ(StopCleanly((*first)->process()), absl::OkStatus()); });
  for (int i = 0; i < 50; ++i) ExpectRightSum(**gateway, i);
  stopper.join();
  for (int i = 0; i < 10; ++i) ExpectRightSum(**gateway, i);
}

TEST(FailoverTest, AWorkerThatIsToldToStopFinishesItsStreams) {
  auto worker = WorkerServer::Start({});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  ctl::ApiClient client(ctl::ParseUrl((*gateway)->url()).value(), Patience(20));
  ctl::GenerateCall call;
  call.model = "demo";
  call.prompt = std::string("Tell me a story");
  call.max_tokens = 300;
  call.ignore_eos = true;
  bool signalled = false;
  call.on_text = [&](absl::string_view) {
    if (!signalled) (*worker)->process().Signal(SIGTERM);
    signalled = true;
    return true;
  };
  const auto answer = client.Generate(call);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->completion_tokens, 300);
  EXPECT_EQ((*worker)->process().Wait(Patience(10)).value_or(-1), 0);
}

TEST(FailoverTest, AGatewayThatIsToldToStopFinishesItsStreams) {
  auto worker = WorkerServer::Start({});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  ctl::ApiClient client(ctl::ParseUrl((*gateway)->url()).value(), Patience(20));
  ctl::GenerateCall call;
  call.model = "demo";
  call.prompt = std::string("Tell me a story");
  call.max_tokens = 300;
  call.ignore_eos = true;
  bool signalled = false;
  call.on_text = [&](absl::string_view) {
    if (!signalled) (*gateway)->process().Signal(SIGTERM);
    signalled = true;
    return true;
  };
  const auto answer = client.Generate(call);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->completion_tokens, 300);
  EXPECT_EQ((*gateway)->process().Wait(Patience(10)).value_or(-1), 0);
}

}  // namespace
}  // namespace skein
