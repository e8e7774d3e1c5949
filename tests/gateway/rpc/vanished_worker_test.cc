// A worker whose machine is gone: no byte comes any more, and no end of the connection either.
#include <string>

#include "absl/strings/numbers.h"
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

}  // namespace
}  // namespace skein
