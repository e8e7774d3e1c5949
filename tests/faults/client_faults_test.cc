// Clients that are slow, silent, gone or many.
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/testing/fake_worker.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

constexpr int kIdle = 10000;
constexpr char kConfig[] =
    "limits { read_timeout_s: 3 write_timeout_s: 3 idle_timeout_s: 300 max_connections: 12000 }";

bool AllowFiles(rlim_t files) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur >= files;
}

struct Latencies {
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
};

// Of short answers, one after the other, each on a connection of its own.
absl::StatusOr<Latencies> Measure(const GatewayServer& gateway, int requests) {
  std::vector<double> ms;
  for (int i = 0; i < requests; ++i) {
    const Stopwatch watch;
    const auto response = HttpGet(gateway.port(), "/v1/models");
    if (!response.ok()) return response.status();
    if (response->status != 200) return absl::UnavailableError(response->body);
    ms.push_back(watch.seconds() * 1e3);
  }
  std::sort(ms.begin(), ms.end());
  return Latencies{ms[ms.size() / 2], ms[ms.size() * 99 / 100], ms.back()};
}

std::string ToString(const Latencies& l) {
  return absl::StrCat("p50 ", l.p50_ms, " ms, p99 ", l.p99_ms, " ms, worst ", l.max_ms, " ms");
}

class ClientFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto worker = StartScripted();
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    auto gateway = GatewayServer::Start({worker_->address()}, kConfig);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    StreamLoad warm_up({.port = gateway_->port(), .streams = 100, .tokens = 5});
    ASSERT_EQ(warm_up.Tally().Count(StreamEnd::kWhole), 100);
    leaks_ =
        std::make_unique<LeakCheck>(*gateway_, std::vector<const WorkerServer*>{worker_.get()});
  }

  std::vector<std::unique_ptr<HttpClient>> Connect(int count) const {
    std::vector<std::unique_ptr<HttpClient>> clients;
    for (int i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<HttpClient>(gateway_->port(), absl::Seconds(20)));
    }
    return clients;
  }

  // False if a sequence runs on for longer than `timeout`.
  bool WaitForFreeSlots(absl::Duration timeout) const {
    const absl::Time deadline = absl::Now() + timeout;
    while (worker_->Metric("skein_worker_running_sequences").value_or(-1) != 0) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(5));
    }
    return true;
  }

  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<LeakCheck> leaks_;
};

TEST_F(ClientFaultsTest, TenThousandIdleConnectionsCostLittleAndDisturbNobody) {
  if (!AllowFiles(kIdle + 1000)) GTEST_SKIP() << "too few files are allowed";
  const auto alone = Measure(*gateway_, 500);
  ASSERT_TRUE(alone.ok()) << alone.status();
  const Footprint before = FootprintOf(gateway_->process());
  auto clients = Connect(kIdle);
  // Half of them have been served before.
  for (int i = 0; i < kIdle; i += 2) {
    const auto response = clients[static_cast<size_t>(i)]->Get("/healthz");
    ASSERT_TRUE(response.ok()) << i << ": " << response.status();
  }
  ASSERT_EQ(GatewayMetric(gateway_->port(), "skein_gateway_connections").value_or(-1), kIdle + 1);
  const auto among = Measure(*gateway_, 500);
  ASSERT_TRUE(among.ok()) << among.status();
  const Footprint full = FootprintOf(gateway_->process());
  const double bytes_each = static_cast<double>(full.rss_bytes - before.rss_bytes) / kIdle;
  std::cout << kIdle << " idle connections: " << bytes_each
            << " bytes each; a request alone: " << ToString(*alone)
            << "; among them: " << ToString(*among) << "\n";
  EXPECT_LT(bytes_each, 20000);
  EXPECT_LT(among->p50_ms, 10 * alone->p50_ms + 20);
  StreamLoad load({.port = gateway_->port(), .streams = 100, .tokens = 20});
  EXPECT_EQ(load.Tally().Count(StreamEnd::kWhole), 100);
  clients.clear();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10), int64_t{256} << 20), absl::OkStatus());
}

TEST_F(ClientFaultsTest, HeadsThatComeByBytesEndInTimeAndHoldNobodyUp) {
  auto clients = Connect(500);
  const std::string head = "GET /healthz HTTP/1.1\r\nHost: slow\r\nX-Slow: ";
  const Stopwatch watch;
  for (size_t at = 0; watch.seconds() < 5; ++at) {
    const std::string byte(1, at < head.size() ? head[at] : 'x');
    for (const auto& client : clients) client->SendRaw(byte).IgnoreError();
    absl::SleepFor(absl::Milliseconds(100));
  }
  for (const auto& client : clients) {
    const auto response = client->ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 408);
  }
  EXPECT_EQ(ServesRight(*gateway_, 10), absl::OkStatus());
  clients.clear();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
}

TEST_F(ClientFaultsTest, BodiesThatComeByBytesEndInTimeAndHoldNobodyUp) {
  auto clients = Connect(300);
  for (const auto& client : clients) {
    client->SendRaw("POST /v1/completions HTTP/1.1\r\nHost: slow\r\nContent-Length: 100000\r\n\r\n")
        .IgnoreError();
  }
  const Stopwatch watch;
  while (watch.seconds() < 5) {
    for (const auto& client : clients) client->SendRaw(" ").IgnoreError();
    absl::SleepFor(absl::Milliseconds(100));
  }
  for (const auto& client : clients) {
    const auto response = client->ReadResponse();
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->status, 408);
  }
  EXPECT_EQ(ServesRight(*gateway_, 10), absl::OkStatus());
  clients.clear();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
}

TEST_F(ClientFaultsTest, ReadersThatStopReadingLoseTheirStreamsAndFreeTheirSlots) {
  // Enough text to fill what is buffered for a connection, in seconds.
  constexpr char kMuchText[] =
      R"({"model":"demo","stream":true,"max_tokens":4000,"n":16,"prompt":"x","logprobs":5})";
  auto clients = Connect(8);
  for (const auto& client : clients) {
    const int small = 2048;
    setsockopt(client->fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    ASSERT_EQ(
        client->Send("POST", "/v1/completions", kMuchText, {{"content-type", "application/json"}}),
        absl::OkStatus());
  }
  const Stopwatch watch;
  StreamLoad load({.port = gateway_->port(), .streams = 100, .tokens = 40});
  EXPECT_EQ(load.Tally().Count(StreamEnd::kWhole), 100);
  EXPECT_TRUE(WaitForFreeSlots(Patience(90)));
  std::cout << "slots of readers that stopped were free " << watch.seconds() << " s later\n";
  clients.clear();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10), int64_t{64} << 20), absl::OkStatus());
}

// A worker that writes as fast as it can, to clients that do not read: the worker is held back.
TEST_F(ClientFaultsTest, ReadersThatStopReadingCostLittleMemory) {
  constexpr int kReaders = 50;
  FakeWorker flood("flood");
  flood.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration script;
    v1::GenerateResponse message;
    message.set_text(std::string(8 << 10, 'x'));
    script.steps.resize(2000, {message, absl::ZeroDuration()});
    return script;
  });
  auto gateway = GatewayServer::Start({flood.address()}, "");
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  const int port = (*gateway)->port();
  const Footprint before = FootprintOf((*gateway)->process());
  std::vector<std::unique_ptr<HttpClient>> clients;
  for (int i = 0; i < kReaders; ++i) {
    clients.push_back(std::make_unique<HttpClient>(port, absl::Seconds(20)));
    const absl::Status sent =
        clients.back()->Send("POST", "/v1/completions",
                             R"({"model":"flood","stream":true,"max_tokens":4000,"prompt":"x"})",
                             {{"content-type", "application/json"}});
    ASSERT_EQ(sent, absl::OkStatus());
  }
  ASSERT_TRUE(flood.WaitForRunning(kReaders));
  int messages = -1;
  while (messages != flood.num_messages()) {
    messages = flood.num_messages();
    absl::SleepFor(absl::Milliseconds(500));
  }
  const Footprint full = FootprintOf((*gateway)->process());
  const double bytes_each = static_cast<double>(full.rss_bytes - before.rss_bytes) / kReaders;
  std::cout << kReaders << " readers that stopped: " << bytes_each
            << " bytes of the gateway's memory each; of 16 MB the worker sent "
            << messages / kReaders * 8 << " KiB to each\n";
  EXPECT_GT(messages, 0);
  EXPECT_LT(bytes_each, 600e3);
  clients.clear();
  EXPECT_TRUE(flood.WaitForCancelled(kReaders));
}

TEST_F(ClientFaultsTest, ClientsThatAreKilledFreeTheirSlotsAtOnce) {
  auto clients = Connect(200);
  for (const auto& client : clients) {
    ASSERT_EQ(client->Send("POST", "/v1/completions",
                           R"({"model":"demo","stream":true,"max_tokens":4000,"prompt":"x"})",
                           {{"content-type", "application/json"}}),
              absl::OkStatus());
  }
  for (const auto& client : clients) {
    ASSERT_TRUE(client->ReadHead().ok());
    ASSERT_TRUE(client->NextEvent().ok());
  }
  const Stopwatch watch;
  for (const auto& client : clients) client->Abort();
  EXPECT_TRUE(WaitForFreeSlots(Patience(3)));
  std::cout << "200 slots were free " << watch.seconds() << " s after their clients died\n";
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
  EXPECT_EQ(ServesRight(*gateway_, 10), absl::OkStatus());
}

}  // namespace
}  // namespace skein
