#include "gateway/rpc/inference_client.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "common/base/retry_after.h"
#include "gateway/rpc/client_call.h"
#include "skein/v1/error_details.pb.h"
#include "tests/gateway/rpc/call_recorder.h"
#include "tests/testing/fake_worker.h"

namespace skein {
namespace {

// Keeps the channels until all calls have ended, as the pool does.
class InferenceClientTest : public ::testing::Test {
 protected:
  ~InferenceClientTest() override { EXPECT_TRUE(WaitForCalls(absl::Seconds(10))); }

  WorkerHandle HandleOf(const std::string& address) {
    channels_.push_back(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    return {address, channels_.back()};
  }

  std::vector<std::shared_ptr<grpc::Channel>> channels_;
};

v1::GenerateRequest SomeRequest() {
  v1::GenerateRequest request;
  request.set_model("fake");
  request.mutable_prompt()->set_text("hi");
  return request;
}

FakeGeneration Endless() {
  FakeGeneration script = SayPieces({"a", "b"});
  script.delay_before_end = absl::InfiniteDuration();
  return script;
}

TEST_F(InferenceClientTest, BringsMessagesInOrderThenTheEnd) {
  FakeWorker worker;
  CallRecorder recorder;
  StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), recorder.Callbacks());
  EXPECT_TRUE(recorder.WaitForDone().ok());
  EXPECT_EQ(recorder.text(), "Hello, world");
  EXPECT_TRUE(recorder.messages().front().has_started());
  EXPECT_EQ(recorder.messages().back().usage().completion_tokens(), 3u);
}

TEST_F(InferenceClientTest, SendsMetadataAndDeadline) {
  FakeWorker worker;
  CallRecorder recorder;
  CallOptions options;
  options.request_id = "req-1";
  options.traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  options.deadline = absl::Now() + absl::Seconds(60);
  StartGenerate(HandleOf(worker.address()), SomeRequest(), options, recorder.Callbacks());
  ASSERT_TRUE(recorder.WaitForDone().ok());
  const SeenCall call = worker.calls().at(0);
  EXPECT_EQ(call.metadata.at("x-request-id"), "req-1");
  EXPECT_EQ(call.metadata.at("traceparent"), options.traceparent);
  EXPECT_GT(call.time_left, absl::Seconds(50));
  EXPECT_LE(call.time_left, absl::Seconds(61));  // gRPC rounds what it sends up
  EXPECT_EQ(call.request.prompt().text(), "hi");
}

TEST_F(InferenceClientTest, PassesTheWorkersStatusOn) {
  FakeWorker worker;
  for (const absl::Status& status :
       {absl::InvalidArgumentError("sampling.top_p: 2, expected 0 to 1"),
        absl::ResourceExhaustedError("queue full"), absl::InternalError("a bug")}) {
    worker.OnGenerate([&](const v1::GenerateRequest&) {
      FakeGeneration script;
      script.status = status;
      return script;
    });
    CallRecorder recorder;
    StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), recorder.Callbacks());
    EXPECT_EQ(recorder.WaitForDone(), status);
  }
}

TEST(FromGrpcTest, TakesOverWhenToTryAgain) {
  v1::RetryInfo info;
  info.mutable_retry_delay()->set_seconds(7);
  info.mutable_retry_delay()->set_nanos(500'000'000);
  v1::StatusDetails details;
  details.add_details()->set_type_url("type.googleapis.com/google.rpc.Other");
  google::protobuf::Any& any = *details.add_details();
  any.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  any.set_value(info.SerializeAsString());
  const auto full = grpc::StatusCode::RESOURCE_EXHAUSTED;
  const absl::Status status = FromGrpc(grpc::Status(full, "full", details.SerializeAsString()));
  EXPECT_EQ(status.message(), "full");
  EXPECT_EQ(RetryAfterOf(status), absl::Seconds(7.5));
  EXPECT_EQ(RetryAfterOf(FromGrpc(grpc::Status(full, "full"))), std::nullopt);
  EXPECT_EQ(RetryAfterOf(FromGrpc(grpc::Status(full, "full", "\xff not a message"))), std::nullopt);
}

TEST_F(InferenceClientTest, CancelEndsTheCallOnBothSides) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  CallRecorder recorder;
  const auto call =
      StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), recorder.Callbacks());
  ASSERT_TRUE(recorder.WaitForMessages(2));
  const absl::Time start = absl::Now();
  call->Cancel();
  EXPECT_TRUE(absl::IsCancelled(recorder.WaitForDone()));
  EXPECT_TRUE(worker.WaitForCancelled(1));
  EXPECT_LT(absl::Now() - start, absl::Seconds(1));
  call->Cancel();  // after the end: nothing happens
  EXPECT_EQ(recorder.num_done(), 1);
}

TEST_F(InferenceClientTest, CancelsFromAnyThreadAtAnyTime) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) {
    return SayPieces({"a", "b", "c"}, absl::Milliseconds(1));
  });
  const WorkerHandle handle = HandleOf(worker.address());
  for (int i = 0; i < 100; ++i) {
    CallRecorder recorder;
    const auto call = StartGenerate(handle, SomeRequest(), CallOptions(), recorder.Callbacks());
    std::thread canceller([&] {
      absl::SleepFor(absl::Microseconds(100 * (i % 50)));
      call->Cancel();
    });
    const absl::Status status = recorder.WaitForDone();
    canceller.join();
    EXPECT_TRUE(status.ok() || absl::IsCancelled(status)) << status;
    EXPECT_EQ(recorder.num_done(), 1);
  }
}

TEST_F(InferenceClientTest, EndsAtItsDeadline) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  CallRecorder recorder;
  CallOptions options;
  options.deadline = absl::Now() + absl::Milliseconds(200);
  StartGenerate(HandleOf(worker.address()), SomeRequest(), options, recorder.Callbacks());
  EXPECT_TRUE(absl::IsDeadlineExceeded(recorder.WaitForDone()));
  EXPECT_TRUE(worker.WaitForCancelled(1));
}

// Holds a call after each message until Release.
class Holder {
 public:
  void HoldIn(GenerateCallbacks& callbacks) {
    callbacks.hold = [this](std::function<void()> resume) {
      const std::lock_guard<std::mutex> lock(mu_);
      if (released_) return false;
      resume_ = std::move(resume);
      return true;
    };
  }
  // For the next message, or for good.
  void Release(bool for_good) {
    std::function<void()> resume;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      released_ = for_good;
      resume.swap(resume_);
    }
    if (resume) resume();
  }

 private:
  std::mutex mu_;
  bool released_ = false;
  std::function<void()> resume_;
};

TEST_F(InferenceClientTest, ReadsOnWhenNobodyHoldsTheCall) {
  FakeWorker worker;
  CallRecorder recorder;
  GenerateCallbacks callbacks = recorder.Callbacks();
  Holder holder;
  holder.HoldIn(callbacks);
  StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), std::move(callbacks));
  for (size_t read = 1; read <= 2; ++read) {
    ASSERT_TRUE(recorder.WaitForMessages(read));
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_EQ(recorder.messages().size(), read);
    holder.Release(/*for_good=*/false);
  }
  ASSERT_TRUE(recorder.WaitForMessages(3));
  EXPECT_EQ(recorder.num_done(), 0);
  holder.Release(/*for_good=*/true);
  EXPECT_TRUE(recorder.WaitForDone().ok());
  EXPECT_EQ(recorder.text(), "Hello, world");
}

TEST_F(InferenceClientTest, AHeldCallEndsWhenItIsCancelled) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  CallRecorder recorder;
  GenerateCallbacks callbacks = recorder.Callbacks();
  Holder holder;
  holder.HoldIn(callbacks);
  const auto call =
      StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), std::move(callbacks));
  ASSERT_TRUE(recorder.WaitForMessages(1));
  call->Cancel();
  EXPECT_TRUE(absl::IsCancelled(recorder.WaitForDone()));
  EXPECT_TRUE(worker.WaitForCancelled(1));
  holder.Release(/*for_good=*/true);  // after the end: nothing happens
  EXPECT_EQ(recorder.num_done(), 1);
}

TEST_F(InferenceClientTest, AHeldCallEndsAtItsDeadline) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  CallRecorder recorder;
  GenerateCallbacks callbacks = recorder.Callbacks();
  Holder holder;
  holder.HoldIn(callbacks);
  CallOptions options;
  options.deadline = absl::Now() + absl::Milliseconds(300);
  StartGenerate(HandleOf(worker.address()), SomeRequest(), options, std::move(callbacks));
  ASSERT_TRUE(recorder.WaitForMessages(1));
  EXPECT_TRUE(absl::IsDeadlineExceeded(recorder.WaitForDone()));
  EXPECT_TRUE(worker.WaitForCancelled(1));
  holder.Release(/*for_good=*/true);
}

TEST_F(InferenceClientTest, IsUnavailableWhenTheWorkerIsGone) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) { return Endless(); });
  const WorkerHandle handle = HandleOf(worker.address());
  CallRecorder cut;
  StartGenerate(handle, SomeRequest(), CallOptions(), cut.Callbacks());
  ASSERT_TRUE(cut.WaitForMessages(2));
  worker.Stop();
  const absl::Status status = cut.WaitForDone();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsCancelled(status)) << status;
  CallRecorder refused;
  StartGenerate(handle, SomeRequest(), CallOptions(), refused.Callbacks());
  EXPECT_TRUE(absl::IsUnavailable(refused.WaitForDone()));
}

// Their words are the log's: they have addresses in them.
TEST_F(InferenceClientTest, FailuresOfTheConnectionHaveFixedWords) {
  FakeWorker worker;
  const WorkerHandle handle = HandleOf(worker.address());
  worker.Stop();
  CallOptions options;
  options.request_id = "req-7";
  CallRecorder refused;
  ::testing::internal::CaptureStderr();
  StartGenerate(handle, SomeRequest(), options, refused.Callbacks());
  EXPECT_EQ(refused.WaitForDone(), absl::UnavailableError("the connection to the worker failed"));
  ASSERT_TRUE(WaitForCalls(absl::Seconds(5)));
  const std::string log = ::testing::internal::GetCapturedStderr();
  for (const std::string& part : {std::string("call to worker failed"), std::string("req-7"),
                                  worker.address(), std::string("UNAVAILABLE: ")}) {
    EXPECT_THAT(log, ::testing::HasSubstr(part));
  }

  worker.Start();
  for (const absl::StatusCode code :
       {absl::StatusCode::kUnavailable, absl::StatusCode::kInternal,
        absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kUnknown}) {
    const absl::Status own(code, "the worker's own words");
    worker.OnGenerate([&own](const v1::GenerateRequest&) {
      FakeGeneration script = SayPieces({"some"});
      script.status = own;
      return script;
    });
    CallRecorder recorder;
    ASSERT_TRUE(
        handle.channel->WaitForConnected(absl::ToChronoTime(absl::Now() + absl::Seconds(10))));
    StartGenerate(handle, SomeRequest(), CallOptions(), recorder.Callbacks());
    EXPECT_EQ(recorder.WaitForDone(), own);
  }
}

TEST_F(InferenceClientTest, ADroppedHandleDoesNotEndTheCall) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest&) {
    return SayPieces({"a", "b", "c"}, absl::Milliseconds(20));
  });
  CallRecorder recorder;
  StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), recorder.Callbacks())
      .reset();
  EXPECT_TRUE(recorder.WaitForDone().ok());
  EXPECT_EQ(recorder.text(), "abc");
  EXPECT_TRUE(WaitForCalls(absl::Seconds(5)));
}

TEST_F(InferenceClientTest, LetsGoOfItsCallbacksAtTheEnd) {
  FakeWorker worker;
  CallRecorder recorder;
  GenerateCallbacks callbacks = recorder.Callbacks();
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  callbacks.on_message = [owned = std::move(owned)](const v1::GenerateResponse&) {};
  const auto call =
      StartGenerate(HandleOf(worker.address()), SomeRequest(), CallOptions(), std::move(callbacks));
  ASSERT_TRUE(recorder.WaitForDone().ok());
  ASSERT_TRUE(WaitForCalls(absl::Seconds(5)));
  EXPECT_TRUE(watch.expired());
}

TEST_F(InferenceClientTest, CarriesManyCallsAtOnce) {
  FakeWorker worker;
  worker.OnGenerate([](const v1::GenerateRequest& request) {
    return SayPieces({request.prompt().text(), "!"}, absl::Milliseconds(5));
  });
  const WorkerHandle handle = HandleOf(worker.address());
  std::vector<CallRecorder> recorders(64);
  for (size_t i = 0; i < recorders.size(); ++i) {
    v1::GenerateRequest request = SomeRequest();
    request.mutable_prompt()->set_text(absl::StrCat(i));
    StartGenerate(handle, request, CallOptions(), recorders[i].Callbacks());
  }
  EXPECT_FALSE(WaitForCalls(absl::ZeroDuration()));
  for (size_t i = 0; i < recorders.size(); ++i) {
    EXPECT_TRUE(recorders[i].WaitForDone().ok());
    EXPECT_EQ(recorders[i].text(), absl::StrCat(i, "!"));
  }
}

}  // namespace
}  // namespace skein
