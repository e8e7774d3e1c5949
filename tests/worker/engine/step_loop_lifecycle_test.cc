// Acceptance, cancellation, deadlines, drain and failure: how requests begin and end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/retry_after.h"
#include "tests/testing/fake_clock.h"
#include "tests/worker/engine/engine_harness.h"
#include "tests/worker/engine/step_gate.h"
#include "worker/engine/refusal_reason.h"
#include "worker/engine/step_loop.h"

namespace skein {
namespace {

using absl::StatusCode;

std::vector<int32_t> Prompt(int size) {
  std::vector<int32_t> prompt(size);
  for (int i = 0; i < size; ++i) prompt[i] = i % 97;
  return prompt;
}

// A loop whose every step waits for the test.
class StepLoopLifecycleTest : public testing::Test {
 protected:
  void Begin(EngineLimits limits = SmallLimits()) {
    EngineHarness::Config config;
    config.limits = limits;
    all_pages_ = limits.kv_bytes / KvBytes(1, limits.page_tokens);
    config.model.on_forward = [this](const ModelBatch& batch) { return gate_.Pass(batch); };
    config.loop.clock = &clock_;
    harness_ = std::make_unique<EngineHarness>(std::move(config));
  }
  void TearDown() override {
    gate_.Open();
    harness_.reset();
  }

  StepLoop& loop() { return harness_->loop(); }
  std::shared_ptr<CollectingSink> Start(int prompt_size, int max_tokens, uint64_t* id = nullptr) {
    return harness_->Start(MakeRequest(Prompt(prompt_size), max_tokens), id);
  }
  void ExpectAllFree() {
    ASSERT_TRUE(loop().WaitIdle(absl::Seconds(20)));
    const LoadSnapshot load = loop().Load();
    EXPECT_EQ(load.running, 0);
    EXPECT_EQ(load.waiting, 0);
    EXPECT_EQ(load.waiting_tokens, 0);
    EXPECT_EQ(load.free_kv_pages, all_pages_);
  }

  int64_t all_pages_ = 0;
  FakeClock clock_;
  StepGate gate_;
  std::unique_ptr<EngineHarness> harness_;
};

TEST_F(StepLoopLifecycleTest, CancelBeforeAdmissionEndsWithoutAStart) {
  Begin({.max_sequences = 1});
  const auto running = Start(3, 4);
  gate_.WaitHeld();
  uint64_t id = 0;
  const auto waiting = Start(3, 4, &id);
  EXPECT_EQ(loop().Load().waiting, 1);
  loop().Cancel(id);
  gate_.Next();
  ASSERT_TRUE(waiting->WaitEnd());
  EXPECT_EQ(waiting->status().code(), StatusCode::kCancelled);
  EXPECT_FALSE(waiting->start().has_value());
  EXPECT_EQ(loop().Load().waiting, 0);
  gate_.Open();
  ASSERT_TRUE(running->WaitEnd());
  EXPECT_TRUE(running->status().ok());
}

TEST_F(StepLoopLifecycleTest, CancelDuringPrefillFreesTheSlotBeforeTheNextStep) {
  Begin();
  uint64_t id = 0;
  const auto cancelled = Start(40, 4, &id);
  gate_.WaitHeld();
  const auto other = Start(40, 4);
  EXPECT_EQ(gate_.Next().sequences, 2);
  loop().Cancel(id);
  EXPECT_EQ(gate_.Next().sequences, 1);
  ASSERT_TRUE(cancelled->WaitEnd());
  EXPECT_EQ(cancelled->status().code(), StatusCode::kCancelled);
  EXPECT_FALSE(cancelled->start().has_value());
  EXPECT_EQ(loop().Load().running, 1);
  gate_.Open();
  ASSERT_TRUE(other->WaitEnd());
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, CancelDuringDecodeKeepsWhatWasWritten) {
  Begin();
  uint64_t id = 0;
  const auto sink = Start(3, 100, &id);
  const auto other = Start(3, 100);
  for (int i = 0; i < 5; ++i) gate_.Next();
  loop().Cancel(id);
  gate_.Next();
  ASSERT_TRUE(sink->WaitEnd());
  EXPECT_EQ(sink->status().code(), StatusCode::kCancelled);
  EXPECT_THAT(sink->choice(0).ids(), testing::SizeIs(testing::Ge(4)));
  EXPECT_FALSE(sink->choice(0).finish.has_value());
  EXPECT_EQ(sink->usage().completion_tokens, static_cast<int64_t>(sink->choice(0).ids().size()));
  EXPECT_EQ(sink->misuse(), "");
  EXPECT_EQ(loop().Load().running, 1);
}

TEST_F(StepLoopLifecycleTest, CancelFreesReservedSlotsOfChoicesToCome) {
  Begin();
  GenerationRequest request = MakeRequest(Prompt(40), 4);
  request.num_choices = 5;
  uint64_t id = 0;
  const auto sink = harness_->Start(request, &id);
  gate_.WaitHeld();
  EXPECT_EQ(loop().Load().running, 5);
  loop().Cancel(id);
  gate_.Open();
  ASSERT_TRUE(sink->WaitEnd());
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, CancelOfWhatHasEndedOrNeverWasDoesNothing) {
  Begin();
  gate_.Open();
  uint64_t id = 0;
  const auto sink = Start(3, 4, &id);
  ASSERT_TRUE(sink->WaitEnd());
  loop().Cancel(id);
  loop().Cancel(12345);
  const auto next = Start(3, 4);
  ASSERT_TRUE(next->WaitEnd());
  EXPECT_TRUE(next->status().ok());
  EXPECT_TRUE(sink->status().ok());
  EXPECT_EQ(sink->misuse(), "");
}

TEST_F(StepLoopLifecycleTest, DeadlinesEndWaitingAndRunningRequestsAlike) {
  Begin({.max_sequences = 1});
  GenerationRequest request = MakeRequest(Prompt(3), 100);
  request.deadline = clock_.Now() + absl::Seconds(5);
  const auto running = harness_->Start(request);
  const auto waiting = harness_->Start(request);
  request.deadline = absl::InfiniteFuture();
  const auto patient = harness_->Start(request);
  for (int i = 0; i < 3; ++i) gate_.Next();
  EXPECT_FALSE(running->WaitEnd(absl::ZeroDuration()));
  clock_.Advance(absl::Seconds(5));
  gate_.Next();
  ASSERT_TRUE(running->WaitEnd());
  ASSERT_TRUE(waiting->WaitEnd());
  EXPECT_EQ(running->status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(waiting->status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(waiting->start().has_value());
  gate_.Open();
  ASSERT_TRUE(patient->WaitEnd());
  EXPECT_TRUE(patient->status().ok());
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, AFullQueueRefusesAndCountsWhatWaits) {
  Begin({.max_sequences = 1, .max_queue = 2});
  const auto running = Start(3, 2);
  gate_.WaitHeld();
  const auto first = Start(3, 2), second = Start(10, 2);
  GenerationRequest request = MakeRequest(Prompt(3), 2);
  request.sink = std::make_shared<CollectingSink>();
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kResourceExhausted);
  gate_.Next();
  EXPECT_EQ(loop().Load().waiting, 2);
  EXPECT_EQ(loop().Load().waiting_tokens, 13);
  gate_.Open();
  ASSERT_TRUE(second->WaitEnd());
  EXPECT_TRUE(loop().Submit(request).ok());
  ASSERT_TRUE(loop().WaitIdle(absl::Seconds(20)));
}

TEST_F(StepLoopLifecycleTest, AFullQueueSaysWhenToComeBack) {
  Begin({.max_sequences = 1, .max_queue = 3});
  GenerationRequest request = MakeRequest(Prompt(3), 1);  // one step
  for (int i = 0; i < 3; ++i) harness_->Start(request);
  for (int i = 0; i < 2; ++i) {
    gate_.WaitHeld();
    clock_.Advance(absl::Seconds(4));
    gate_.Next();
  }
  for (int i = 0; i < 3; ++i) harness_->Start(request);
  request.sink = std::make_shared<CollectingSink>();
  const absl::Status refused = loop().Submit(request).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "queue_requests");
  const double wait = absl::ToDoubleSeconds(RetryAfterOf(refused).value_or(absl::ZeroDuration()));
  EXPECT_NEAR(wait, 12, 0.01);  // three requests of four seconds
  EXPECT_EQ(loop().CheckRoom(), refused);
  gate_.Next();
  EXPECT_TRUE(loop().CheckRoom().ok());
  clock_.Advance(absl::Hours(1));
  gate_.Next();
  for (int i = 0; i < 2; ++i) harness_->Start(request);
  EXPECT_EQ(RetryAfterOf(loop().CheckRoom()), absl::Seconds(60));
}

TEST_F(StepLoopLifecycleTest, TheQueueIsBoundedByTokensButTakesAnyRequestWhenItIsEmpty) {
  Begin({.max_sequences = 1, .max_queue_tokens = 20});
  const auto running = Start(3, 2);
  gate_.WaitHeld();
  GenerationRequest request = MakeRequest(Prompt(50), 2);
  const auto big = harness_->Start(request);
  request.sink = std::make_shared<CollectingSink>();
  request.prompt = Prompt(1);
  const absl::Status refused = loop().Submit(request).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "queue_tokens");
  EXPECT_EQ(RetryAfterOf(refused), absl::Seconds(1));
  gate_.Open();
  ASSERT_TRUE(big->WaitEnd());
  ASSERT_TRUE(loop().WaitIdle(absl::Seconds(20)));
  EXPECT_TRUE(loop().Submit(request).ok());
}

TEST_F(StepLoopLifecycleTest, TokensFillTheQueueUpToTheirLimit) {
  Begin({.max_sequences = 1, .max_queue_tokens = 20});
  const auto running = Start(3, 2);
  gate_.WaitHeld();
  const auto first = Start(12, 2), second = Start(8, 2);
  EXPECT_EQ(loop().Load().waiting_tokens, 23);
  GenerationRequest request = MakeRequest(Prompt(1), 2);
  request.sink = std::make_shared<CollectingSink>();
  EXPECT_EQ(ReasonOf(loop().Submit(request).status()), "queue_tokens");
}

TEST_F(StepLoopLifecycleTest, ACancelledRequestLeavesTheQueueAtOnce) {
  Begin({.max_sequences = 1, .max_queue = 1, .max_queue_tokens = 10});
  const auto running = Start(3, 4);
  gate_.WaitHeld();
  uint64_t id = 0;
  const auto cancelled = Start(9, 4, &id);
  EXPECT_FALSE(loop().CheckRoom().ok());
  loop().Cancel(id);
  loop().Cancel(id);
  EXPECT_EQ(loop().Load().waiting, 0);
  const auto next = Start(9, 4);  // while the same step is held
  EXPECT_EQ(loop().Load().waiting, 1);
  gate_.Open();
  ASSERT_TRUE(cancelled->WaitEnd());
  ASSERT_TRUE(next->WaitEnd());
  EXPECT_EQ(cancelled->status().code(), StatusCode::kCancelled);
  EXPECT_TRUE(next->status().ok()) << next->status();
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, WhatIsGivenUpIsBoundedToo) {
  Begin({.max_sequences = 1, .max_queue = 3});
  const auto running = Start(3, 4);
  gate_.WaitHeld();
  std::vector<std::shared_ptr<CollectingSink>> cancelled;
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(loop().CheckRoom().ok());
    uint64_t id = 0;
    cancelled.push_back(Start(9, 4, &id));
    loop().Cancel(id);
  }
  EXPECT_EQ(loop().Load().waiting, 0);
  EXPECT_EQ(ReasonOf(loop().CheckRoom()), "queue_requests");
  gate_.Open();
  for (const auto& sink : cancelled) ASSERT_TRUE(sink->WaitEnd());
  ASSERT_TRUE(running->WaitEnd());
  EXPECT_TRUE(loop().CheckRoom().ok());
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, ARequestThatIsLateLeavesTheQueueAtOnce) {
  Begin({.max_sequences = 1, .max_queue = 2});
  const auto running = Start(3, 4);
  gate_.WaitHeld();
  GenerationRequest request = MakeRequest(Prompt(3), 4);
  request.deadline = clock_.Now() + absl::Seconds(5);
  const auto late = harness_->Start(request);
  request.deadline = clock_.Now() + absl::Seconds(9);
  const auto later = harness_->Start(request);
  clock_.Advance(absl::Seconds(4));
  EXPECT_FALSE(loop().CheckRoom().ok());
  clock_.Advance(absl::Seconds(1));
  const auto next = Start(3, 4);
  EXPECT_FALSE(loop().CheckRoom().ok());
  gate_.Open();
  for (const auto& sink : {late, later, next}) ASSERT_TRUE(sink->WaitEnd());
  EXPECT_EQ(late->status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(later->status().ok()) << later->status();
  EXPECT_TRUE(next->status().ok()) << next->status();
  ExpectAllFree();
}

TEST_F(StepLoopLifecycleTest, AStepThatDoesNotComeBackIsAStall) {
  Begin();
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(loop().StalledFor(), absl::ZeroDuration());  // nothing to do
  const auto sink = Start(3, 3);
  gate_.WaitHeld();
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(loop().StalledFor(), absl::Seconds(10));
  for (const int hours : {1, -2}) {  // which no step took
    clock_.Set(absl::Hours(hours));
    EXPECT_EQ(loop().StalledFor(), absl::Seconds(10));
  }
  gate_.Next();
  EXPECT_EQ(loop().StalledFor(), absl::ZeroDuration());
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(loop().StalledFor(), absl::Seconds(2));
  gate_.Open();
  ASSERT_TRUE(loop().WaitIdle(absl::Seconds(20)));
  clock_.Advance(absl::Hours(1));
  EXPECT_EQ(loop().StalledFor(), absl::ZeroDuration());
}

TEST_F(StepLoopLifecycleTest, RefusalsNameTheirReasonAndLeaveTheSinkAlone) {
  Begin({.max_sequences = 2, .page_tokens = 4, .kv_bytes = KvBytes(10, 4)});
  EXPECT_EQ(loop().max_tokens_per_sequence(), 40);
  EXPECT_EQ(loop().kv_bytes_per_token(), KvBytes(1, 1));
  const auto sink = std::make_shared<CollectingSink>();
  GenerationRequest request = MakeRequest(Prompt(30), 11);
  request.sink = sink;
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReasonOf(loop().Submit(request).status()), "too_large");
  EXPECT_EQ(RetryAfterOf(loop().Submit(request).status()), std::nullopt);
  request.stopping.max_tokens = 1;
  request.num_choices = 3;
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kInvalidArgument);
  request.num_choices = 1;
  request.prompt = {97};
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(sink->status().code(), StatusCode::kUnknown);
  EXPECT_TRUE(loop().WaitIdle(absl::ZeroDuration()));
}

TEST_F(StepLoopLifecycleTest, DrainLetsAcceptedRequestsFinish) {
  Begin({.max_sequences = 1});
  const auto running = Start(3, 3), waiting = Start(3, 3);
  gate_.WaitHeld();
  loop().Drain();
  EXPECT_TRUE(loop().Load().draining);
  GenerationRequest request = MakeRequest(Prompt(3), 3);
  request.sink = std::make_shared<CollectingSink>();
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kUnavailable);
  EXPECT_FALSE(loop().WaitIdle(absl::Milliseconds(20)));
  gate_.Open();
  EXPECT_TRUE(loop().WaitIdle(absl::Seconds(20)));
  EXPECT_TRUE(running->status().ok());
  EXPECT_TRUE(waiting->status().ok());
}

TEST_F(StepLoopLifecycleTest, TheEndOfTheLoopEndsEveryRequest) {
  Begin({.max_sequences = 1});
  const auto running = Start(3, 1000), waiting = Start(3, 1000);
  gate_.WaitHeld();
  gate_.Open();
  harness_->Stop();
  EXPECT_EQ(running->status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(waiting->status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(running->misuse(), "");
}

TEST_F(StepLoopLifecycleTest, AFailedModelEndsItsSequencesAndAcceptsNoMore) {
  Begin({.max_sequences = 2});
  const auto first = Start(3, 10), second = Start(3, 10), waiting = Start(3, 10);
  gate_.WaitHeld();
  gate_.Break(absl::InternalError("device lost"));
  gate_.Open();
  for (const auto& sink : {first, second, waiting}) ASSERT_TRUE(sink->WaitEnd());
  EXPECT_EQ(first->status().code(), StatusCode::kInternal);
  EXPECT_THAT(std::string(first->status().message()), testing::HasSubstr("device lost"));
  EXPECT_EQ(waiting->status().code(), StatusCode::kUnavailable);
  GenerationRequest request = MakeRequest(Prompt(3), 3);
  request.sink = std::make_shared<CollectingSink>();
  EXPECT_EQ(loop().Submit(request).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(loop().Load().failed);
  EXPECT_EQ(loop().Load().free_state_slots, 2);
}

TEST(StepLoopLoadTest, EveryChangeIsToldByTheLoopAndTheLastOneIsIdle) {
  std::mutex mu;
  std::vector<LoadSnapshot> loads;
  EngineHarness::Config config;
  config.loop.on_load_change = [&](const LoadSnapshot& load) {
    const std::lock_guard<std::mutex> lock(mu);
    loads.push_back(load);
  };
  EngineHarness harness(std::move(config));
  const auto sink = harness.Start(MakeRequest(Prompt(20), 5));
  ASSERT_TRUE(sink->WaitEnd());
  harness.loop().Drain();
  harness.Stop();
  const std::lock_guard<std::mutex> lock(mu);
  ASSERT_GE(loads.size(), 4u);
  EXPECT_TRUE(std::any_of(loads.begin(), loads.end(),
                          [](const LoadSnapshot& l) { return l.running == 1; }));
  EXPECT_TRUE(std::any_of(loads.begin(), loads.end(),
                          [](const LoadSnapshot& l) { return l.waiting_tokens == 6; }));
  EXPECT_EQ(loads.back().running, 0);
  EXPECT_TRUE(loads.back().draining);
  for (size_t i = 1; i < loads.size(); ++i) {
    LoadSnapshot before = loads[i - 1];
    before.steps = loads[i].steps;
    EXPECT_FALSE(loads[i] == before) << "told without a change";
  }
}

TEST(StepLoopCreateTest, RefusesLimitsAndPoolsThatCannotBe) {
  ParallelFor threads(1);
  const auto create = [&](EngineLimits limits) {
    StepLoop::Options options;
    options.limits = limits;
    return StepLoop::Create(std::make_unique<FakeModel>(FakeModel::Options{}), nullptr,
                            Stream(threads), options)
        .status()
        .code();
  };
  EXPECT_EQ(create({.max_rows_per_step = 1}), StatusCode::kInvalidArgument);
  EXPECT_EQ(create({.kv_bytes = 10}), StatusCode::kResourceExhausted);
  EXPECT_EQ(create({}), StatusCode::kOk);
}

}  // namespace
}  // namespace skein
