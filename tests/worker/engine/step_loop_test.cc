// Whatever runs beside a request, and however its prompt is cut, its tokens are its own.
#include "worker/engine/step_loop.h"

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

}  // namespace
}  // namespace skein
