// Workers that are killed, stopped and told to end under 200 streams.
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/faults/stream_load.h"

namespace skein {
namespace {

constexpr int kWorkers = 3;
constexpr int kStreams = 200;
constexpr int kTokens = 160;  // eight seconds

class WorkerFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> addresses;
    for (int i = 0; i < kWorkers; ++i) {
      auto worker = StartScripted();
      ASSERT_TRUE(worker.ok()) << worker.status();
      addresses.push_back((*worker)->address());
      workers_.push_back(*std::move(worker));
    }
    auto gateway = GatewayServer::Start(addresses);
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    ASSERT_EQ(WaitForWorkers(*gateway_, kWorkers, Patience(10)), absl::OkStatus());
    // Connections, pools and pages that stay are there after a first round.
    StreamLoad warm_up({.port = gateway_->port(), .streams = kStreams, .tokens = 5});
    const StreamTally tally = warm_up.Tally();
    ASSERT_EQ(tally.Count(StreamEnd::kWhole), kStreams) << tally.ToString();
  }

  // Streams that hold a slot of the first worker, or wait for one.
  int StreamsOfTheFirst() const {
    const auto load = workers_[0]->Load();
    return load.ok() ? static_cast<int>(load->running() + load->waiting()) : -1;
  }

  // How long after `begin` the last stream ended that did not end well.
  static double LastFailure(StreamLoad& load, absl::Time begin) {
    absl::Time last = begin;
    for (const StreamResult& result : load.Wait()) {
      if (result.end != StreamEnd::kWhole) last = std::max(last, result.ended);
    }
    return absl::ToDoubleSeconds(last - begin);
  }

  std::vector<const WorkerServer*> Others() const { return {workers_[1].get(), workers_[2].get()}; }

  std::vector<std::unique_ptr<WorkerServer>> workers_;
  std::unique_ptr<GatewayServer> gateway_;
};

TEST_F(WorkerFaultsTest, AKilledWorkerCostsItsOwnStreamsAndNoOthers) {
  const LeakCheck leaks(*gateway_, Others());
  StreamLoad load({.port = gateway_->port(), .streams = kStreams, .tokens = kTokens});
  ASSERT_TRUE(load.WaitForText(kStreams, Patience(20)));
  const int doomed = StreamsOfTheFirst();
  ASSERT_GT(doomed, 0);
  const absl::Time killed = absl::Now();
  workers_[0]->process().Signal(SIGKILL);
  EXPECT_EQ(WaitForWorkers(*gateway_, kWorkers - 1, Patience(1)), absl::OkStatus());
  const double noticed_s = absl::ToDoubleSeconds(absl::Now() - killed);

  const StreamTally tally = load.Tally();
  std::cout << "killed with " << doomed << " streams: " << tally.ToString() << "\n"
            << "out of rotation after " << noticed_s << " s, last error after "
            << LastFailure(load, killed) << " s\n";
  EXPECT_EQ(tally.Bad(), 0);
  EXPECT_EQ(tally.Count(StreamEnd::kError), doomed);
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams - doomed);
  EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());
  EXPECT_EQ(leaks.WaitUntilFree(Patience(10)), absl::OkStatus());

  auto again = StartScripted(workers_[0]->address());
  ASSERT_TRUE(again.ok()) << again.status();
  const Stopwatch ready;
  ASSERT_EQ(WaitForWorkers(*gateway_, kWorkers, Patience(15)), absl::OkStatus());
  std::cout << "back in rotation " << ready.seconds() << " s after its model was ready\n";
  StreamLoad after({.port = gateway_->port(), .streams = kStreams, .tokens = 5});
  EXPECT_EQ(after.Tally().Count(StreamEnd::kWhole), kStreams);
  EXPECT_GT((*again)->Metric("skein_worker_requests_total").value_or(0), 0);
}

TEST_F(WorkerFaultsTest, AWorkerThatIsToldToEndFinishesItsStreams) {
  const LeakCheck leaks(*gateway_, Others());
  StreamLoad load({.port = gateway_->port(), .streams = kStreams, .tokens = kTokens});
  ASSERT_TRUE(load.WaitForText(kStreams, Patience(20)));
  ASSERT_GT(StreamsOfTheFirst(), 0);
  workers_[0]->process().Signal(SIGTERM);
  EXPECT_EQ(WaitForWorkers(*gateway_, kWorkers - 1, Patience(2)), absl::OkStatus());
  EXPECT_EQ(ServesRight(*gateway_, 5), absl::OkStatus());

  const StreamTally tally = load.Tally();
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams) << tally.ToString();
  EXPECT_EQ(workers_[0]->process().Wait(Patience(10)).value_or(-1), 0);
  EXPECT_EQ(leaks.WaitUntilFree(Patience(10)), absl::OkStatus());
}

TEST_F(WorkerFaultsTest, AStoppedWorkerIsGivenUpAndReturnsWithoutItsOldStreams) {
  const LeakCheck leaks(*gateway_, {workers_[0].get(), workers_[1].get(), workers_[2].get()});
  StreamLoad load({.port = gateway_->port(), .streams = kStreams, .tokens = kTokens});
  ASSERT_TRUE(load.WaitForText(kStreams, Patience(20)));
  const int doomed = StreamsOfTheFirst();
  ASSERT_GT(doomed, 0);
  const absl::Time stopped = absl::Now();
  workers_[0]->process().Signal(SIGSTOP);
  EXPECT_EQ(WaitForWorkers(*gateway_, kWorkers - 1, Patience(10)), absl::OkStatus());
  const double noticed_s = absl::ToDoubleSeconds(absl::Now() - stopped);
  EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());

  const StreamTally tally = load.Tally();
  std::cout << "stopped with " << doomed << " streams: " << tally.ToString() << "\n"
            << "out of rotation after " << noticed_s << " s, last error after "
            << LastFailure(load, stopped) << " s\n";
  EXPECT_EQ(tally.Bad(), 0);
  EXPECT_EQ(tally.Count(StreamEnd::kError), doomed);
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams - doomed);
  EXPECT_LE(LastFailure(load, stopped), 35);

  workers_[0]->process().Signal(SIGCONT);
  const Stopwatch resumed;
  ASSERT_EQ(WaitForWorkers(*gateway_, kWorkers, Patience(20)), absl::OkStatus());
  std::cout << "back in rotation " << resumed.seconds() << " s after it went on\n";
  EXPECT_EQ(leaks.WaitUntilFree(Patience(20)), absl::OkStatus());
  EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());
}

// As after an error of the device: nothing that the worker has can be trusted.
TEST(FailingStepTest, AWorkerWhoseStepFailsEndsAndCostsItsOwnStreams) {
  auto failing = StartScripted("127.0.0.1:0", {"--fail-after", "60"});
  auto sound = StartScripted();
  ASSERT_TRUE(failing.ok() && sound.ok()) << failing.status() << sound.status();
  auto gateway = GatewayServer::Start({(*failing)->address(), (*sound)->address()});
  ASSERT_TRUE(gateway.ok()) << gateway.status();
  ASSERT_EQ(WaitForWorkers(**gateway, 2, Patience(10)), absl::OkStatus());
  const LeakCheck leaks(**gateway, {sound->get()});
  StreamLoad load({.port = (*gateway)->port(), .streams = 100, .tokens = 120});
  const StreamTally tally = load.Tally();
  std::cout << tally.ToString() << "\n";
  EXPECT_EQ(tally.Bad(), 0);
  EXPECT_GT(tally.Count(StreamEnd::kError), 0);
  EXPECT_GT(tally.Count(StreamEnd::kWhole), 0);
  EXPECT_EQ((*failing)->process().Wait(Patience(10)).value_or(-1), 1);
  EXPECT_EQ(ServesRight(**gateway, 20), absl::OkStatus());
  EXPECT_EQ(leaks.WaitUntilFree(Patience(10)), absl::OkStatus());
}

}  // namespace
}  // namespace skein
