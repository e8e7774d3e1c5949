// How processes begin and end: probes, drains, and a step loop that is stuck. Steps take 20 ms.
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

constexpr int kStreamTokens = 120;  // 2.4 s

std::string StreamBody() {
  return absl::StrCat(
      R"({"model":"demo","stream":true,"temperature":0,"prompt":"abc","max_tokens":)",
      kStreamTokens, "}");
}

std::unique_ptr<HttpClient> StartStream(const GatewayServer& gateway) {
  auto client = std::make_unique<HttpClient>(gateway.port(), Patience(30));
  EXPECT_TRUE(
      client->Send("POST", "/v1/completions", StreamBody(), {{"content-type", "application/json"}})
          .ok());
  return client;
}

// How many pieces of text came before the proper end of the stream; -1 if it was cut.
int CountPieces(HttpClient& client) {
  const auto head = client.ReadHead();
  if (!head.ok() || head->status != 200) return -1;
  int pieces = 0;
  bool done = false;
  while (true) {
    const auto event = client.NextEvent();
    if (!event.ok()) return -1;
    if (!event->has_value()) return done ? pieces : -1;
    done = (*event)->data == "[DONE]";
    if (absl::StrContains((*event)->data, R"("text":")")) ++pieces;
  }
}

bool IsServing(const WorkerServer& worker, const std::string& service) {
  const auto result =
      RunCommand({SKEIN_WORKER, "--health-check", absl::StrCat(worker.address(), "/", service)});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() && result->exit_status == 0;
}

bool WaitForLoad(const WorkerServer& worker, uint32_t running, uint32_t waiting) {
  const absl::Time deadline = absl::Now() + Patience(10);
  while (absl::Now() < deadline) {
    const auto load = worker.Load();
    if (load.ok() && load->running() == running && load->waiting() == waiting) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

TEST(DrainTest, AWorkerServesWhatItHasAcceptedAndNothingMore) {
  auto worker = WorkerServer::Start({.config = "engine { max_sequences: 2 }", .scripted = true});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  std::vector<std::unique_ptr<HttpClient>> streams;
  for (int i = 0; i < 4; ++i) streams.push_back(StartStream(**gateway));
  ASSERT_TRUE(WaitForLoad(**worker, 2, 2));
  EXPECT_TRUE(IsServing(**worker, ""));

  (*worker)->process().Signal(SIGTERM);
  EXPECT_TRUE((*gateway)->WaitReady(false, Patience(5)).ok());
  EXPECT_FALSE(IsServing(**worker, ""));
  EXPECT_FALSE(IsServing(**worker, "demo"));
  EXPECT_TRUE(IsServing(**worker, "liveness"));
  EXPECT_TRUE(IsServing(**worker, "startup"));
  const auto refused = HttpPost((*gateway)->port(), "/v1/completions", StreamBody());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->Header("retry-after"), "1");

  for (const auto& stream : streams) EXPECT_GT(CountPieces(*stream), 0);
  EXPECT_EQ((*worker)->process().Wait(Patience(20)).value_or(-1), 0);
  EXPECT_EQ(StopCleanly((*gateway)->process()), absl::OkStatus());
}

TEST(DrainTest, AGatewayFinishesItsStreamsAndRefusesWhatComes) {
  auto worker = WorkerServer::Start({.scripted = true});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway =
      GatewayServer::Start({(*worker)->address()}, "metrics_listen: '127.0.0.1:0' threads: 2");
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const auto line = (*gateway)->process().WaitForLine("event=\"metrics listening\"", Patience(5));
  ASSERT_TRUE(line.ok()) << line.status();
  const std::string address = LogField(*line, "address");
  const int probes = std::atoi(address.c_str() + address.rfind(':') + 1);
  HttpClient idle((*gateway)->port());
  ASSERT_EQ(idle.Get("/v1/models").value().status, 200);
  const auto stream = StartStream(**gateway);
  ASSERT_TRUE(WaitForLoad(**worker, 1, 0));
  EXPECT_EQ(HttpGet(probes, "/readyz").value().status, 200);
  EXPECT_EQ(HttpGet(probes, "/v1/models").value().status, 404);

  (*gateway)->process().Signal(SIGTERM);
  EXPECT_TRUE(idle.WaitForClose(Patience(5)));
  EXPECT_EQ(HttpGet(probes, "/readyz").value().status, 503);
  for (const char* path : {"/healthz", "/startupz", "/metrics"}) {
    EXPECT_EQ(HttpGet(probes, path).value().status, 200) << path;
  }
  const auto refused = HttpPost((*gateway)->port(), "/v1/completions", StreamBody());
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(refused->Header("retry-after"), "1");
  EXPECT_EQ(refused->Header("connection"), "close");
  EXPECT_TRUE(absl::StrContains(refused->body, R"("code":"draining")")) << refused->body;

  EXPECT_GT(CountPieces(*stream), 0);
  EXPECT_EQ((*gateway)->process().Wait(Patience(10)).value_or(-1), 0);
  EXPECT_FALSE(HttpClient((*gateway)->port()).status().ok());
  EXPECT_EQ(StopCleanly((*worker)->process()), absl::OkStatus());
}

TEST(DrainTest, AWorkerThatLoadsIsAliveButNeitherStartedNorReady) {
  auto worker =
      WorkerServer::Start({.scripted = true, .flags = {"--load-ms", "1500"}, .wait = false});
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_TRUE(IsServing(**worker, "liveness"));
  EXPECT_FALSE(IsServing(**worker, "startup"));
  EXPECT_FALSE(IsServing(**worker, ""));
  ASSERT_TRUE((*worker)->process().WaitForLine("event=\"model ready\"", Patience(20)).ok());
  for (const char* service : {"liveness", "startup", ""}) {
    EXPECT_TRUE(IsServing(**worker, service)) << service;
  }
  EXPECT_EQ(StopCleanly((*worker)->process()), absl::OkStatus());
}

TEST(DrainTest, AStuckStepEndsLivenessAndDoesNotHoldTheProcess) {
  auto worker = WorkerServer::Start({.config = "drain_timeout_s: 5 engine { stall_s: 1 }",
                                     .scripted = true,
                                     .flags = {"--stall-after", "3"}});
  ASSERT_TRUE(worker.ok()) << worker.status();
  auto gateway = GatewayServer::Start({(*worker)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const auto stream = StartStream(**gateway);
  const auto line = (*worker)->process().WaitForLine("event=\"no progress\"", Patience(20));
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(LogField(*line, "state"), "ready");
  EXPECT_EQ(LogField(*line, "running"), "1");
  const absl::Time deadline = absl::Now() + Patience(10);
  while (IsServing(**worker, "liveness") && absl::Now() < deadline) {
  }
  EXPECT_FALSE(IsServing(**worker, "liveness"));
  (*worker)->process().Signal(SIGTERM);
  EXPECT_EQ((*worker)->process().Wait(Patience(20)).value_or(-1), 1);
  EXPECT_EQ(CountPieces(*stream), -1);
}

}  // namespace
}  // namespace skein
