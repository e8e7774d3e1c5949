// KV pages run out: sequences give way, come back, and say what they would have said.
#include <atomic>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "tests/worker/engine/engine_harness.h"
#include "worker/engine/step_loop.h"

namespace skein {
namespace {

// Counts how often a prompt is begun; more often than there are requests means that some gave way.
EngineHarness::Config WithPages(int64_t pages, std::atomic<int>& beginnings) {
  EngineHarness::Config config;
  config.limits.kv_bytes = KvBytes(pages, config.limits.page_tokens);
  config.model.on_forward = [&beginnings](const ModelBatch& batch) {
    for (int64_t i = 0; i < batch.num_rows(); ++i) beginnings += batch.positions[i] == 0 ? 1 : 0;
    return absl::OkStatus();
  };
  return config;
}

TEST(StepLoopMemoryTest, SequencesThatGaveWayContinueUnchanged) {
  std::atomic<int> beginnings{0};
  EngineHarness harness(WithPages(24, beginnings));
  std::mt19937 random(4);
  std::vector<GenerationRequest> requests;
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (int i = 0; i < 24; ++i) {
    requests.push_back(RandomRequest(random, 97));
    requests.back().prompt.resize(1 + random() % 12, 9);
    requests.back().stopping.max_tokens = 40;
    requests.back().stopping.end_tokens.clear();
    sinks.push_back(harness.Start(requests.back()));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectReference(requests[i], *sinks[i], harness.model());
  }
  EXPECT_GT(beginnings, 24 + 5);
  EXPECT_EQ(harness.loop().Load().free_kv_pages, 24);
  EXPECT_EQ(harness.loop().Load().free_state_slots, SmallLimits().max_sequences);
}

std::vector<int32_t> TokensOf(const CollectingSink& sink, int choice) {
  EXPECT_TRUE(sink.WaitEnd());
  EXPECT_TRUE(sink.status().ok()) << sink.status();
  return sink.choice(choice).ids();
}

TEST(StepLoopMemoryTest, EachSequenceStartsFromItsStateAlsoAfterGivingWay) {
  std::atomic<int> beginnings{0};
  const std::shared_ptr<const InitialState> states[] = {nullptr, FakeModel::StateOfHash(7),
                                                        FakeModel::StateOfHash(8)};
  std::vector<GenerationRequest> requests;
  std::vector<std::vector<int32_t>> alone;
  {
    EngineHarness roomy;
    for (const auto& state : states) {
      GenerationRequest request = MakeRequest({1, 2, 3, 4, 5, 6, 7, 8, 9}, 40);
      request.num_choices = 2;
      request.sampling.temperature = 1;
      request.conditioning.branches = {{state, 1}};
      requests.push_back(request);
      alone.push_back(TokensOf(*roomy.Start(request), 1));
    }
  }
  EXPECT_NE(alone[0], alone[1]);
  EXPECT_NE(alone[1], alone[2]);
  EngineHarness harness(WithPages(24, beginnings));
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (int i = 0; i < 12; ++i) sinks.push_back(harness.Start(requests[i % 3]));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(TokensOf(*sinks[i], 1), alone[i % 3]) << i;
  EXPECT_GT(beginnings, 12);
}

TEST(StepLoopMemoryTest, ARequestMayFillEveryPageEvenWithManyChoices) {
  std::atomic<int> beginnings{0};
  EngineHarness harness(WithPages(10, beginnings));
  ASSERT_EQ(harness.loop().max_tokens_per_sequence(), 40);
  for (const int prompt_size : {1, 6, 8, 33}) {
    GenerationRequest request = MakeRequest(std::vector<int32_t>(prompt_size, 3), 40 - prompt_size);
    request.sampling.temperature = 1.2f;
    request.num_choices = 5;
    ExpectReference(request, *harness.Start(request), harness.model());
  }
  EXPECT_GT(beginnings, 4);
  EXPECT_EQ(harness.loop().Load().free_kv_pages, 10);
}

TEST(StepLoopMemoryTest, ScoresSurviveGivingWay) {
  std::atomic<int> beginnings{0};
  EngineHarness harness(WithPages(16, beginnings));
  GenerationRequest talker = MakeRequest(std::vector<int32_t>(4, 3), 50);
  GenerationRequest scorer = MakeRequest(std::vector<int32_t>(20, 8), 30);
  scorer.logprobs->prompt = true;
  const auto first = harness.Start(talker), second = harness.Start(scorer),
             third = harness.Start(scorer);
  ExpectReference(talker, *first, harness.model());
  ExpectReference(scorer, *second, harness.model());
  ExpectReference(scorer, *third, harness.model());
  ASSERT_EQ(third->start()->prompt.size(), 20u);
  for (size_t i = 1; i < 20; ++i) EXPECT_TRUE(third->start()->prompt[i].logprob.has_value());
}

}  // namespace
}  // namespace skein
