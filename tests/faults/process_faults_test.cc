// What surrounds the processes goes wrong: logs that cannot be written, gateways that are
// restarted.
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/testing/http_client.h"

namespace skein {
namespace {

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0;
  close(fd);
  return bound ? ntohs(address.sin_port) : 0;
}

// Asks until there is an answer: the logs of these processes, which would say when they listen, are
// lost.
absl::Status WaitForAnswer(int port, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  absl::Status status;
  while (absl::Now() < deadline) {
    const auto text = AskOnce(port, 1, 3);
    if (text.ok() && *text == ScriptedAnswer(1, 3)) return absl::OkStatus();
    status = text.status();
    absl::SleepFor(absl::Milliseconds(50));
  }
  return absl::DeadlineExceededError(status.ToString());
}

struct LostLogs {
  const char* name;
  const char* where;  // what the shell does with standard error
};

class LostLogsTest : public testing::TestWithParam<LostLogs> {};

TEST_P(LostLogsTest, ServingGoesOn) {
  const int worker_port = FreePort();
  const int gateway_port = FreePort();
  const auto start = [](const std::string& name, const std::string& program,
                        const std::string& flags) {
    return ChildProcess::Start(
        name,
        {"/bin/bash", "-c", absl::StrCat("exec ", program, " ", flags, " ", GetParam().where)});
  };
  const auto worker = start(
      "worker", SCRIPTED_WORKER,
      absl::StrCat("--name demo --step-ms 5 --log-level debug --listen 127.0.0.1:", worker_port));
  ASSERT_TRUE(worker.ok()) << worker.status();
  const auto gateway = start("gateway", SKEIN_GATEWAY,
                             absl::StrCat("--log-level debug --listen 127.0.0.1:", gateway_port,
                                          " --worker 127.0.0.1:", worker_port));
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  ASSERT_EQ(WaitForAnswer(gateway_port, Patience(20)), absl::OkStatus());
  StreamLoad load({.port = gateway_port, .streams = 50, .tokens = 20});
  EXPECT_EQ(load.Tally().Count(StreamEnd::kWhole), 50) << load.Tally().ToString();
  EXPECT_EQ(HttpGet(gateway_port, "/metrics").value().status, 200);
  for (const auto& process : {worker->get(), gateway->get()}) {
    ASSERT_TRUE(process->Running());
    EXPECT_EQ(StopCleanly(*process), absl::OkStatus());
  }
}

INSTANTIATE_TEST_SUITE_P(Logs, LostLogsTest,
                         testing::Values(LostLogs{"FullDisk", "2>/dev/full"},
                                         LostLogs{"ReaderThatEnded", "2> >(exec 0<&-; exec true)"},
                                         LostLogs{"Closed", "2>&-"}),
                         [](const auto& info) { return info.param.name; });

class GatewayRestartTest : public testing::Test {
 protected:
  void SetUp() override {
    auto worker = StartScripted();
    ASSERT_TRUE(worker.ok()) << worker.status();
    worker_ = *std::move(worker);
    for (std::unique_ptr<GatewayServer>* gateway : {&first_, &second_}) {
      auto started = GatewayServer::Start({worker_->address()}, "drain_timeout_s: 3");
      ASSERT_TRUE(started.ok()) << started.status();
      *gateway = *std::move(started);
    }
    StreamLoad warm_up({.port = second_->port(), .streams = 100, .tokens = 5});
    ASSERT_EQ(warm_up.Tally().Count(StreamEnd::kWhole), 100);
    leaks_ = std::make_unique<LeakCheck>(*second_, std::vector<const WorkerServer*>{worker_.get()});
  }

  StreamLoad::Options Streams(const GatewayServer& gateway, int tokens) const {
    return {.port = gateway.port(), .streams = 100, .tokens = tokens};
  }

  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<GatewayServer> first_, second_;
  std::unique_ptr<LeakCheck> leaks_;
};

TEST_F(GatewayRestartTest, StreamsThatEndInTimeAreWhole) {
  StreamLoad ours(Streams(*first_, 40));
  StreamLoad others(Streams(*second_, 100));
  ASSERT_TRUE(ours.WaitForText(100, Patience(20)));
  ASSERT_TRUE(others.WaitForText(100, Patience(20)));
  first_->process().Signal(SIGTERM);
  EXPECT_EQ(ours.Tally().Count(StreamEnd::kWhole), 100) << ours.Tally().ToString();
  EXPECT_EQ(first_->process().Wait(Patience(10)).value_or(-1), 0);
  EXPECT_EQ(others.Tally().Count(StreamEnd::kWhole), 100) << others.Tally().ToString();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
}

TEST_F(GatewayRestartTest, StreamsThatTakeTooLongEndWithAnError) {
  StreamLoad ours(Streams(*first_, 400));
  StreamLoad others(Streams(*second_, 100));
  ASSERT_TRUE(ours.WaitForText(100, Patience(20)));
  ASSERT_TRUE(others.WaitForText(100, Patience(20)));
  first_->process().Signal(SIGTERM);
  const StreamTally tally = ours.Tally();
  std::cout << tally.ToString() << "\n";
  EXPECT_EQ(tally.Count(StreamEnd::kError), 100);
  EXPECT_EQ(first_->process().Wait(Patience(10)).value_or(-1), 0);
  EXPECT_EQ(others.Tally().Count(StreamEnd::kWhole), 100) << others.Tally().ToString();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
}

TEST_F(GatewayRestartTest, AKilledGatewayLeavesNothingRunning) {
  StreamLoad ours(Streams(*first_, 400));
  StreamLoad others(Streams(*second_, 100));
  ASSERT_TRUE(ours.WaitForText(100, Patience(20)));
  ASSERT_TRUE(others.WaitForText(100, Patience(20)));
  const Stopwatch watch;
  first_->process().Signal(SIGKILL);
  while (worker_->Metric("skein_worker_running_sequences").value_or(-1) > 100 &&
         watch.seconds() < 30) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  std::cout << "100 slots were free " << watch.seconds() << " s after their gateway was killed\n";
  EXPECT_LT(watch.seconds(), absl::ToDoubleSeconds(Patience(3)));
  EXPECT_EQ(ours.Tally().Count(StreamEnd::kCut), 100);  // nobody was left to say anything
  EXPECT_EQ(others.Tally().Count(StreamEnd::kWhole), 100) << others.Tally().ToString();
  EXPECT_EQ(leaks_->WaitUntilFree(Patience(10)), absl::OkStatus());
}

}  // namespace
}  // namespace skein
