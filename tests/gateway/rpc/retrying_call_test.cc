#include "gateway/rpc/retrying_call.h"

#include <atomic>
#include <future>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "common/base/status_macros.h"
#include "tests/gateway/rpc/call_recorder.h"
#include "tests/testing/fake_worker.h"

namespace skein {
namespace {

FakeGeneration Fail(const absl::Status& status, const std::vector<std::string>& pieces = {}) {
  FakeGeneration script;
  if (!pieces.empty()) script = SayPieces(pieces);
  script.status = status;
  return script;
}

// Other prompts are at home on other workers.
v1::GenerateRequest SomeRequest(int number = 0) {
  v1::GenerateRequest request;
  request.set_model("fake");
  request.mutable_prompt()->set_text(absl::StrCat("hi ", number));
  return request;
}

v1::WorkerLoad RunningLoad(uint32_t running) {
  v1::WorkerLoad load;
  load.set_running(running);
  return load;
}

// Two workers.
class RetryingCallTest : public ::testing::Test {
 protected:
  RetryingCallTest() : pool_({a_.address(), b_.address()}) {
    const absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (absl::Now() < deadline && !BothReady()) absl::SleepFor(absl::Milliseconds(2));
    EXPECT_TRUE(BothReady());
  }
  ~RetryingCallTest() override { EXPECT_TRUE(WaitForCalls(absl::Seconds(10))); }

  bool BothReady() {
    return pool_.Pick({.model = "fake", .avoid = {a_.address()}}).ok() &&
           pool_.Pick({.model = "fake", .avoid = {b_.address()}}).ok();
  }

  void BothAnswer(const FakeGeneration& script) {
    a_.OnGenerate([script](const v1::GenerateRequest&) { return script; });
    b_.OnGenerate([script](const v1::GenerateRequest&) { return script; });
  }

  size_t num_calls() const { return a_.calls().size() + b_.calls().size(); }

  absl::StatusOr<std::shared_ptr<GenerateCall>> Start() {
    return StartGenerateWithRetry(pool_, SomeRequest(), CallOptions(), recorder_.Callbacks());
  }

  FakeWorker a_, b_;
  WorkerPool pool_;
  CallRecorder recorder_;
};

TEST_F(RetryingCallTest, MovesToTheOtherWorkerWhenTheFirstIsUnavailable) {
  a_.OnGenerate(
      [](const v1::GenerateRequest&) { return Fail(absl::UnavailableError("draining")); });
  constexpr int kCalls = 12;  // some of which begin at each of the two
  for (int i = 0; i < kCalls; ++i) {
    CallRecorder recorder;
    ASSERT_TRUE(
        StartGenerateWithRetry(pool_, SomeRequest(i), CallOptions(), recorder.Callbacks()).ok());
    EXPECT_TRUE(recorder.WaitForDone().ok());
    EXPECT_EQ(recorder.text(), "Hello, world");
    EXPECT_EQ(recorder.num_done(), 1);
  }
  EXPECT_GE(a_.calls().size(), 1u);
  EXPECT_EQ(b_.calls().size(), size_t{kCalls});
}

TEST_F(RetryingCallTest, AsksEachWorkerOnceAndThreeAtMost) {
  BothAnswer(Fail(absl::UnavailableError("draining")));
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(recorder_.WaitForDone(), absl::UnavailableError("draining"));
  EXPECT_EQ(num_calls(), 2u);

  FakeWorker c, d;
  for (FakeWorker* worker : {&c, &d}) {
    worker->OnGenerate(
        [](const v1::GenerateRequest&) { return Fail(absl::UnavailableError("x")); });
  }
  WorkerPool pool({a_.address(), b_.address(), c.address(), d.address()});
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (absl::Now() < deadline && pool.States()[WorkerState::kReady] != 4) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  CallRecorder recorder;
  ASSERT_TRUE(StartGenerateWithRetry(pool, SomeRequest(), {}, recorder.Callbacks()).ok());
  EXPECT_TRUE(absl::IsUnavailable(recorder.WaitForDone()));
  EXPECT_EQ(num_calls() + c.calls().size() + d.calls().size(), 2u + 3u);
  EXPECT_TRUE(WaitForCalls(absl::Seconds(10)));
}

TEST_F(RetryingCallTest, BeginsAgainWhereNoTokenHasCome) {
  FakeGeneration begun = SayPieces({"lost"});
  begun.steps.resize(1);  // `started` alone
  begun.status = absl::UnavailableError("killed in its prefill");
  a_.OnGenerate([begun](const v1::GenerateRequest&) { return begun; });
  for (int i = 0; i < 8; ++i) {
    CallRecorder recorder;
    ASSERT_TRUE(
        StartGenerateWithRetry(pool_, SomeRequest(i), CallOptions(), recorder.Callbacks()).ok());
    EXPECT_TRUE(recorder.WaitForDone().ok());
    EXPECT_EQ(recorder.text(), "Hello, world");
    // Told once, together with the first token.
    EXPECT_EQ(recorder.messages().front().started().seed(), 7u);
    EXPECT_EQ(recorder.messages().front().text(), "Hello");
    EXPECT_FALSE(recorder.messages().at(1).has_started());
  }
  EXPECT_GE(a_.calls().size(), 1u);
}

TEST_F(RetryingCallTest, MovesFromAFullWorkerToOneWithRoomOnly) {
  a_.OnGenerate(
      [](const v1::GenerateRequest&) { return Fail(absl::ResourceExhaustedError("queue full")); });
  for (int i = 0; i < 8; ++i) {
    CallRecorder recorder;
    ASSERT_TRUE(
        StartGenerateWithRetry(pool_, SomeRequest(i), CallOptions(), recorder.Callbacks()).ok());
    EXPECT_TRUE(recorder.WaitForDone().ok());
  }
  const size_t calls_of_a = a_.calls().size();
  EXPECT_GE(calls_of_a, 1u);
  EXPECT_EQ(b_.calls().size(), 8u);

  // Both have all their 64 slots taken.
  a_.SetLoad(RunningLoad(64));
  b_.SetLoad(RunningLoad(64));
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (absl::Now() < deadline && pool_.Pick({.model = "fake", .needs_free_slot = true}).ok()) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  b_.OnGenerate(
      [](const v1::GenerateRequest&) { return Fail(absl::ResourceExhaustedError("queue full")); });
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(recorder_.WaitForDone(), absl::ResourceExhaustedError("queue full"));
  EXPECT_EQ(num_calls(), calls_of_a + 8 + 1);
}

TEST_F(RetryingCallTest, DoesNotRepeatWhatHasBegun) {
  BothAnswer(Fail(absl::UnavailableError("lost"), {"some"}));
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(recorder_.WaitForDone(), absl::UnavailableError("lost"));
  EXPECT_EQ(recorder_.text(), "some");
  EXPECT_EQ(num_calls(), 1u);
}

TEST_F(RetryingCallTest, DoesNotRepeatOtherErrors) {
  BothAnswer(Fail(absl::InternalError("broken")));
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(recorder_.WaitForDone(), absl::InternalError("broken"));
  EXPECT_EQ(num_calls(), 1u);
}

TEST_F(RetryingCallTest, CancelReachesTheSecondCall) {
  FakeGeneration endless = SayPieces({"x"});
  endless.delay_before_end = absl::InfiniteDuration();
  a_.OnGenerate(
      [](const v1::GenerateRequest&) { return Fail(absl::UnavailableError("draining")); });
  b_.OnGenerate([endless](const v1::GenerateRequest&) { return endless; });
  const auto call = Start();
  ASSERT_TRUE(call.ok());
  ASSERT_TRUE(recorder_.WaitForMessages(1));
  (*call)->Cancel();
  EXPECT_TRUE(absl::IsCancelled(recorder_.WaitForDone()));
  EXPECT_TRUE(b_.WaitForCancelled(1));
}

TEST_F(RetryingCallTest, FailsWithoutACallbackWhenNobodyServesTheModel) {
  v1::GenerateRequest request = SomeRequest();
  request.set_model("other");
  const auto call = StartGenerateWithRetry(pool_, request, CallOptions(), recorder_.Callbacks());
  EXPECT_TRUE(absl::IsNotFound(call.status()));
  EXPECT_EQ(recorder_.num_done(), 0);
}

TEST_F(RetryingCallTest, SurvivesAWorkerThatIsKilled) {
  a_.Stop();
  // At once, before the pool can know: calls that meet the dead worker move to the other one.
  for (int i = 0; i < 10; ++i) {
    CallRecorder recorder;
    ASSERT_TRUE(
        StartGenerateWithRetry(pool_, SomeRequest(), CallOptions(), recorder.Callbacks()).ok());
    EXPECT_TRUE(recorder.WaitForDone().ok());
    EXPECT_EQ(recorder.text(), "Hello, world");
  }
}

absl::StatusOr<v1::TokenizeResponse> Tokenize(WorkerPool& pool, const std::string& text) {
  v1::TokenizeRequest request;
  request.set_model("fake");
  request.mutable_prompt()->set_text(text);
  std::promise<absl::StatusOr<v1::TokenizeResponse>> tokens;
  RETURN_IF_ERROR(StartTokenize(pool, request, {}, [&](auto result) { tokens.set_value(result); }));
  return tokens.get_future().get();
}

TEST_F(RetryingCallTest, TokenizesAndDetokenizes) {
  const auto tokenized = Tokenize(pool_, "AB");
  ASSERT_TRUE(tokenized.ok()) << tokenized.status();
  ASSERT_EQ(tokenized->tokens_size(), 2);
  EXPECT_EQ(tokenized->tokens(1).id(), 66u);

  v1::DetokenizeRequest request;
  request.add_ids(67);
  std::promise<absl::StatusOr<v1::DetokenizeResponse>> text;
  ASSERT_TRUE(
      StartDetokenize(pool_, request, {}, [&](auto result) { text.set_value(result); }).ok());
  EXPECT_EQ(text.get_future().get()->text(), "C");

  request.set_model("other");
  EXPECT_TRUE(absl::IsNotFound(StartDetokenize(pool_, request, {}, [](auto) { FAIL(); })));
}

TEST_F(RetryingCallTest, UnaryCallsAreTriedAgainToo) {
  std::atomic<int> refused = 0;
  a_.OnTokenize([&refused](const v1::TokenizeRequest&) {
    ++refused;
    return absl::UnavailableError("draining");
  });
  for (int i = 0; i < 20 && refused == 0; ++i) EXPECT_TRUE(Tokenize(pool_, "A").ok());
  EXPECT_GE(refused, 1);
  b_.OnTokenize(
      [](const v1::TokenizeRequest&) { return absl::FailedPreconditionError("no tokenizer"); });
  EXPECT_EQ(Tokenize(pool_, "A").status(), absl::FailedPreconditionError("no tokenizer"));
}

}  // namespace
}  // namespace skein
