// Whatever runs beside a request, and however its prompt is cut, its tokens are its own.
#include "worker/engine/step_loop.h"

#include <algorithm>
#include <mutex>
#include <random>
#include <vector>

#include "absl/time/clock.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_harness.h"

namespace skein {
namespace {

TEST(StepLoopTest, GreedyTokensFollowTheModel) {
  EngineHarness harness;
  const GenerationRequest request = MakeRequest({5, 6, 7, 8, 9, 10, 11, 12, 13, 14}, 20);
  ExpectReference(request, *harness.Start(request), harness.model());
}

TEST(StepLoopTest, ARequestGivesTheSameTokensAloneAndAmongThirtyOthers) {
  std::mt19937 random(1);
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 31; ++i) requests.push_back(RandomRequest(random, 97));
  struct Case {
    int max_rows, chunk, sequences;
  };
  for (const Case& c :
       {Case{24, 7, 8}, Case{2, 1, 3}, Case{512, 256, 64}, Case{16, 16, 16}, Case{5, 3, 30}}) {
    SCOPED_TRACE(testing::Message() << c.max_rows << " rows, chunks of " << c.chunk);
    EngineHarness::Config config;
    config.limits.max_rows_per_step = c.max_rows;
    config.limits.prefill_chunk = c.chunk;
    config.limits.max_sequences = c.sequences;
    config.num_threads = 2;
    EngineHarness harness(std::move(config));
    std::vector<std::shared_ptr<CollectingSink>> sinks;
    for (const GenerationRequest& request : requests) sinks.push_back(harness.Start(request));
    for (size_t i = 0; i < requests.size(); ++i)
      ExpectReference(requests[i], *sinks[i], harness.model());
    EXPECT_EQ(harness.loop().Load().free_state_slots, c.sequences);
  }
}

TEST(StepLoopTest, ModelsWithoutAttentionRunWithoutPages) {
  EngineHarness::Config config;
  config.model.num_kv_layers = 0;
  config.limits.kv_bytes = 0;
  EngineHarness harness(std::move(config));
  EXPECT_EQ(harness.loop().max_tokens_per_sequence(), INT64_MAX);
  EXPECT_EQ(harness.loop().kv_bytes_per_token(), 0);
  const GenerationRequest request = MakeRequest({1, 2, 3}, 9);
  ExpectReference(request, *harness.Start(request), harness.model());
}

TEST(StepLoopTest, PromptsGetFewerRowsWhileTheyKeepStreamsWaiting) {
  std::mutex mu;
  std::vector<int64_t> mixed;  // rows of steps with a decode and a prompt
  EngineHarness::Config config;
  config.limits.max_rows_per_step = 64;
  config.limits.prefill_chunk = 64;
  config.limits.prefill_target = absl::Milliseconds(1);
  config.model.on_forward = [&](const ModelBatch& batch) {
    absl::SleepFor(absl::Milliseconds(2));
    const std::lock_guard<std::mutex> lock(mu);
    if (batch.num_sequences() == 2 && batch.num_rows() > 2) mixed.push_back(batch.num_rows());
    return absl::OkStatus();
  };
  EngineHarness engine(config);
  const GenerationRequest stream = MakeRequest({1, 2, 3}, 60);
  const GenerationRequest prompt = MakeRequest(std::vector<int32_t>(300, 4), 3);
  const auto reader = engine.Start(stream);
  const auto other = engine.Start(prompt);
  ExpectReference(stream, *reader, engine.model());
  ExpectReference(prompt, *other, engine.model());
  const std::lock_guard<std::mutex> lock(mu);
  ASSERT_GT(mixed.size(), 4u);
  // The target can't be met: from half to half down to the fewest.
  EXPECT_LE(*std::max_element(mixed.begin() + 3, mixed.end()), 17);
  EXPECT_GE(mixed[3], 16);
}

}  // namespace
}  // namespace skein
