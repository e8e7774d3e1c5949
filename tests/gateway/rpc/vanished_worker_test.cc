// Workers that leave in the middle of something: with their machine, so that no byte comes any more
// and no end of the connection either, or just as a call arrives.
#include <array>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "gateway/routing/worker_pool.h"
#include "tests/gateway/rpc/call_recorder.h"
#include "tests/gateway/rpc/freezing_proxy.h"
#include "tests/testing/fake_worker.h"

namespace skein {
namespace {

int PortOf(const std::string& address) {
  int port = 0;
  EXPECT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) << address;
  return port;
}

TEST(VanishedWorkerTest, ARunningCallEndsWithUnavailable) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) {
    FakeGeneration endless = SayPieces({"a", "b"});
    endless.steps.pop_back();
    endless.delay_before_end = absl::InfiniteDuration();
    return endless;
  });
  FreezingProxy proxy(PortOf(worker.address()));
  WorkerPoolOptions options;
  options.ping = absl::Seconds(1);
  options.ping_timeout = absl::Seconds(1);
  WorkerPool pool({proxy.address()}, options);
  for (int i = 0; i < 1000 && !pool.Ready(); ++i) absl::SleepFor(absl::Milliseconds(10));
  const absl::StatusOr<WorkerHandle> handle = pool.Pick({.model = "fake"});
  ASSERT_TRUE(handle.ok()) << handle.status();
  CallRecorder recorder;
  v1::GenerateRequest request;
  request.set_model("fake");
  request.mutable_prompt()->set_text("hi");
  StartGenerate(*handle, request, CallOptions(), recorder.Callbacks());
  ASSERT_TRUE(recorder.WaitForMessages(2));
  proxy.Freeze();
  EXPECT_TRUE(absl::IsUnavailable(recorder.WaitForDone()));
  EXPECT_TRUE(WaitForCalls(absl::Seconds(10)));
}

// The gateway has yet to hear that the worker stops, whose server turns the calls away itself.
TEST(VanishedWorkerTest, CallsThatMeetAStoppingServerMoveToAnotherWorker) {
  FakeWorker leaving, other;
  FreezingProxy proxy(PortOf(leaving.address()));
  WorkerPool pool({proxy.address(), other.address()}, {});
  const auto elsewhere = [&](const std::string& address) {
    return pool.Pick({.model = "fake", .avoid = {address}});
  };
  for (int i = 0; i < 1000 && !(elsewhere(proxy.address()).ok() && elsewhere(other.address()).ok());
       ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  const absl::StatusOr<WorkerHandle> handle = elsewhere(other.address());
  ASSERT_TRUE(handle.ok()) << handle.status();
  v1::GenerateRequest request;
  request.set_model("fake");
  CallRecorder early;  // connects
  StartGenerate(*handle, request, CallOptions(), early.Callbacks());
  EXPECT_EQ(early.WaitForDone(), absl::OkStatus());
  proxy.HoldAnswers(true);
  std::thread stop([&leaving] { leaving.Stop(absl::Seconds(10)); });
  absl::SleepFor(absl::Milliseconds(200));  // until the shutdown has begun
  const size_t before = proxy.bytes_to_server();
  std::array<CallRecorder, 6> calls;  // some of which begin at the one that leaves
  for (size_t i = 0; i < calls.size(); ++i) {
    request.mutable_prompt()->set_text(absl::StrCat("hi ", i));
    EXPECT_TRUE(StartGenerateWithRetry(pool, request, CallOptions(), calls[i].Callbacks()).ok());
  }
  CallRecorder alone;
  StartGenerate(*handle, request, CallOptions(), alone.Callbacks());
  for (int i = 0; i < 500 && proxy.bytes_to_server() == before; ++i) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  absl::SleepFor(absl::Milliseconds(100));  // until the server has met them
  proxy.HoldAnswers(false);
  for (CallRecorder& call : calls) {
    EXPECT_EQ(call.WaitForDone(), absl::OkStatus());
    EXPECT_EQ(call.text(), "Hello, world");
  }
  EXPECT_EQ(alone.WaitForDone(), absl::UnavailableError("the worker is stopping"));
  EXPECT_EQ(leaving.calls().size(), 1u);
  stop.join();
  EXPECT_TRUE(WaitForCalls(absl::Seconds(10)));
}

}  // namespace
}  // namespace skein
