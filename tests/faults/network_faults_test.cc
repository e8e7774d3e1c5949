// What lies between gateway and worker goes wrong: bytes that are late, few, lost, or cut off.
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/e2e/servers.h"
#include "tests/faults/fleet.h"
#include "tests/faults/footprint.h"
#include "tests/faults/stream_load.h"
#include "tests/testing/fault_proxy.h"

namespace skein {
namespace {

constexpr int kStreams = 60;
constexpr int kTokens = 60;  // three seconds

int PortOf(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

// One worker behind a proxy and one that is reached directly.
class NetworkFaultsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto far = StartScripted();
    auto near = StartScripted();
    ASSERT_TRUE(far.ok() && near.ok()) << far.status() << near.status();
    far_ = *std::move(far);
    near_ = *std::move(near);
    auto proxy = FaultProxy::Start(PortOf(far_->address()));
    ASSERT_TRUE(proxy.ok()) << proxy.status();
    proxy_ = *std::move(proxy);
    auto gateway = GatewayServer::Start({proxy_->address(), near_->address()});
    ASSERT_TRUE(gateway.ok()) << gateway.status();
    gateway_ = *std::move(gateway);
    ASSERT_EQ(WaitForWorkers(*gateway_, 2, Patience(10)), absl::OkStatus());
    StreamLoad warm_up({.port = gateway_->port(), .streams = kStreams, .tokens = 5});
    ASSERT_EQ(warm_up.Tally().Count(StreamEnd::kWhole), kStreams);
    leaks_ = std::make_unique<LeakCheck>(*gateway_,
                                         std::vector<const WorkerServer*>{far_.get(), near_.get()});
  }

  // Streams over both workers, and `fault` when all of them have text.
  StreamTally StreamsThrough(const std::function<void()>& fault) {
    StreamLoad load({.port = gateway_->port(), .streams = kStreams, .tokens = kTokens});
    EXPECT_TRUE(load.WaitForText(kStreams, Patience(30)));
    of_far_ = static_cast<int>(far_->Load().value_or(v1::WorkerLoad()).running());
    EXPECT_GT(of_far_, 0);
    const absl::Time begin = absl::Now();
    fault();
    const StreamTally tally = load.Tally();
    std::cout << of_far_ << " streams behind the fault: " << tally.ToString()
              << "\nall ended after " << absl::ToDoubleSeconds(absl::Now() - begin) << " s\n";
    EXPECT_EQ(tally.Bad(), 0);
    return tally;
  }

  void ExpectWholeAgain() {
    const Stopwatch watch;
    EXPECT_EQ(WaitForWorkers(*gateway_, 2, Patience(20)), absl::OkStatus());
    std::cout << "both workers in rotation after " << watch.seconds() << " s\n";
    EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());
    EXPECT_EQ(leaks_->WaitUntilFree(Patience(40)), absl::OkStatus());
  }

  std::unique_ptr<WorkerServer> far_, near_;
  std::unique_ptr<FaultProxy> proxy_;
  std::unique_ptr<GatewayServer> gateway_;
  std::unique_ptr<LeakCheck> leaks_;
  int of_far_ = 0;
};

TEST_F(NetworkFaultsTest, AWorkerThatVanishesCostsItsOwnStreams) {
  const StreamTally tally = StreamsThrough([this] {
    const Stopwatch watch;
    proxy_->Set({.black_hole = true});
    EXPECT_EQ(WaitForWorkers(*gateway_, 1, Patience(35)), absl::OkStatus());
    std::cout << "out of rotation after " << watch.seconds() << " s\n";
    EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());
  });
  EXPECT_EQ(tally.Count(StreamEnd::kError), of_far_);
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams - of_far_);
  proxy_->Set({});
  proxy_->ResetAll();  // what the lost machine's router would do with bytes of connections that it
                       // does not know
  ExpectWholeAgain();
}

TEST_F(NetworkFaultsTest, ADelayedWorkerIsSlowAndRight) {
  const StreamTally tally =
      StreamsThrough([this] { proxy_->Set({.delay = absl::Milliseconds(300)}); });
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams);
  ExpectWholeAgain();
}

TEST_F(NetworkFaultsTest, AThrottledWorkerDoesNotSlowTheOther) {
  constexpr int64_t kBytesPerSecond = 4000;
  StreamLoad load({.port = gateway_->port(), .streams = kStreams, .tokens = kTokens});
  ASSERT_TRUE(load.WaitForText(kStreams, Patience(30)));
  const absl::Time begin = absl::Now();
  proxy_->Set({.bytes_per_second = kBytesPerSecond});
  // The streams of the other worker end in their time.
  const absl::Time due = begin + absl::Milliseconds(3 * kTokens * kStepMs);
  absl::SleepFor(due - absl::Now());
  EXPECT_EQ(near_->Metric("skein_worker_running_sequences").value_or(-1), 0);
  proxy_->Set({});
  const StreamTally tally = load.Tally();
  std::cout << tally.ToString() << "\n";
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams);
  ExpectWholeAgain();
}

TEST_F(NetworkFaultsTest, ResetConnectionsCostTheirStreamsAndComeBack) {
  const StreamTally tally = StreamsThrough([this] { proxy_->ResetAll(); });
  EXPECT_EQ(tally.Count(StreamEnd::kError), of_far_);
  EXPECT_EQ(tally.Count(StreamEnd::kWhole), kStreams - of_far_);
  ExpectWholeAgain();
}

TEST_F(NetworkFaultsTest, HalfClosedConnectionsComeBack) {
  const StreamTally tally = StreamsThrough([this] { proxy_->HalfCloseAll(); });
  EXPECT_EQ(tally.Count(StreamEnd::kError) + tally.Count(StreamEnd::kWhole), kStreams);
  ExpectWholeAgain();
}

TEST_F(NetworkFaultsTest, AWorkerThatRefusesConnectionsIsRoutedAround) {
  const StreamTally tally = StreamsThrough([this] {
    proxy_->Refuse(true);
    proxy_->ResetAll();
    EXPECT_EQ(WaitForWorkers(*gateway_, 1, Patience(5)), absl::OkStatus());
    EXPECT_EQ(ServesRight(*gateway_, 20), absl::OkStatus());
  });
  EXPECT_EQ(tally.Count(StreamEnd::kError), of_far_);
  proxy_->Refuse(false);
  ExpectWholeAgain();
}

}  // namespace
}  // namespace skein
