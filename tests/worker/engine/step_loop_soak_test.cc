// Rounds of 200 requests from several threads, with random cancellations and deadlines, too few
// pages, and a drain at the end. Runs for 2 seconds, or for SKEIN_SOAK_SECONDS.
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include <malloc.h>

#include "absl/time/clock.h"
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_harness.h"
#include "worker/engine/step_loop.h"

namespace skein {
namespace {

constexpr int kThreads = 4;
constexpr int kRequestsPerThread = 50;

absl::Duration SoakTime() {
  const char* seconds = std::getenv("SKEIN_SOAK_SECONDS");
  return absl::Seconds(seconds != nullptr ? std::atoi(seconds) : 2);
}

// Bytes in use on the heap; 0 under a sanitizer, whose allocator does not say.
int64_t HeapBytes() { return static_cast<int64_t>(mallinfo2().uordblks); }

struct Asked {
  GenerationRequest request;
  std::shared_ptr<CollectingSink> sink;
  bool cancelled = false;
  bool has_deadline = false;
};

EngineHarness::Config SoakConfig() {
  EngineHarness::Config config;
  config.limits = {.max_sequences = 200,
                   .max_queue = 500,
                   .max_rows_per_step = 160,
                   .prefill_chunk = 16,
                   .page_tokens = 4,
                   .kv_bytes = KvBytes(700, 4)};  // a third of what 200 sequences would like
  config.num_threads = 2;
  return config;
}

// Submits, and cancels about every fifth after a moment.
std::vector<Asked> SubmitSome(EngineHarness& harness, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Asked> asked;
  std::vector<std::pair<uint64_t, size_t>> to_cancel;
  for (int i = 0; i < kRequestsPerThread; ++i) {
    Asked one{.request = RandomRequest(random, 97), .sink = std::make_shared<CollectingSink>()};
    if (random() % 4 == 0) one.request.conditioning = RandomMixture(random);
    if (random() % 5 == 0) {
      one.has_deadline = true;
      one.request.deadline = absl::Now() + absl::Microseconds(random() % 20000);
    }
    one.request.sink = one.sink;
    const absl::StatusOr<uint64_t> id = harness.loop().Submit(one.request);
    EXPECT_TRUE(id.ok()) << id.status();
    one.request.sink = nullptr;
    if (id.ok() && random() % 5 == 0) {
      one.cancelled = true;
      to_cancel.emplace_back(*id, asked.size());
    }
    asked.push_back(std::move(one));
    if (to_cancel.size() > 3) {
      harness.loop().Cancel(to_cancel.front().first);
      to_cancel.erase(to_cancel.begin());
    }
    if (random() % 8 == 0) absl::SleepFor(absl::Microseconds(random() % 500));
  }
  for (const auto& [id, index] : to_cancel) harness.loop().Cancel(id);
  return asked;
}

// Every end must be one that was asked for, and every full answer the right one.
void ExpectAskedFor(const std::vector<Asked>& all, const FakeModel::Options& model, int& answered) {
  for (const Asked& asked : all) {
    ASSERT_TRUE(asked.sink->WaitEnd());
    EXPECT_EQ(asked.sink->misuse(), "");
    const absl::Status status = asked.sink->status();
    if (status.ok()) {
      ++answered;
      ExpectReference(asked.request, *asked.sink, model);
    } else if (status.code() == absl::StatusCode::kCancelled) {
      EXPECT_TRUE(asked.cancelled);
    } else if (status.code() == absl::StatusCode::kDeadlineExceeded) {
      EXPECT_TRUE(asked.has_deadline);
    } else {
      ADD_FAILURE() << status;
    }
  }
}

void RunRound(EngineHarness& harness, uint32_t seed, int& answered) {
  std::vector<std::vector<Asked>> asked(kThreads);
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] { asked[i] = SubmitSome(harness, seed * kThreads + i); });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(harness.loop().WaitIdle(absl::Seconds(60)));
  for (const auto& part : asked) ExpectAskedFor(part, harness.model(), answered);
  const LoadSnapshot load = harness.loop().Load();
  EXPECT_EQ(load.free_state_slots, 200);
  EXPECT_EQ(load.free_kv_pages, 700);
  EXPECT_EQ(load.waiting, 0);
}

TEST(StepLoopSoakTest, EndsOnlyAsAskedFreesAllAndKeepsMemoryFlat) {
  EngineHarness harness(SoakConfig());
  const absl::Time end = absl::Now() + SoakTime();
  int answered = 0;
  uint32_t round = 0;
  int64_t warm_bytes = 0;
  for (; round < 8 || absl::Now() < end; ++round) {
    RunRound(harness, round, answered);
    if (HasFatalFailure()) return;
    if (round == 5) warm_bytes = HeapBytes();
  }
  EXPECT_GT(answered, static_cast<int>(round) * 60);
  // Buffers that grow to the largest step may still grow a little; requests must leave nothing
  // behind.
  EXPECT_LT(HeapBytes() - warm_bytes, 1 << 20);
  RecordProperty("rounds", static_cast<int>(round));
}

TEST(StepLoopSoakTest, ADrainUnderLoadEndsEveryAcceptedRequest) {
  for (uint32_t seed = 0; seed < 5; ++seed) {
    EngineHarness harness(SoakConfig());
    std::vector<std::vector<std::shared_ptr<CollectingSink>>> sinks(kThreads);
    std::atomic<int> refused{0};
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        std::mt19937 random(seed * kThreads + i);
        for (int j = 0; j < kRequestsPerThread; ++j) {
          GenerationRequest request = RandomRequest(random, 97);
          const auto sink = std::make_shared<CollectingSink>();
          request.sink = sink;
          const auto id = harness.loop().Submit(std::move(request));
          if (id.ok()) {
            sinks[i].push_back(sink);
          } else {
            EXPECT_EQ(id.status().code(), absl::StatusCode::kUnavailable);
            ++refused;
          }
          absl::SleepFor(absl::Microseconds(random() % 300));
        }
      });
    }
    absl::SleepFor(absl::Milliseconds(4));
    harness.loop().Drain();
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(harness.loop().WaitIdle(absl::Seconds(60)));
    EXPECT_GT(refused, 0);
    for (const auto& part : sinks) {
      for (const auto& sink : part) EXPECT_TRUE(sink->status().ok()) << sink->status();
    }
    EXPECT_EQ(harness.loop().Load().free_state_slots, 200);
  }
}

}  // namespace
}  // namespace skein
