// Requests that mix several states: their output is that of the mixed logits, they get all their
// slots at once, and whatever ends them frees all of them.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/worker/engine/engine_harness.h"
#include "tests/worker/engine/step_gate.h"
#include "worker/engine/step_loop.h"

namespace skein {
namespace {

using absl::StatusCode;

std::vector<int32_t> Prompt(int size) {
  std::vector<int32_t> prompt(size);
  for (int i = 0; i < size; ++i) prompt[i] = i * 5 % 97;
  return prompt;
}

Conditioning Mixture(const std::vector<float>& weights) {
  Conditioning mixture;
  uint64_t hash = 40;
  for (const float weight : weights) {
    mixture.branches.push_back({FakeModel::StateOfHash(++hash), weight});
  }
  return mixture;
}

GenerationRequest MixtureRequest(int prompt_size, int64_t max_tokens,
                                 const std::vector<float>& weights) {
  GenerationRequest request = MakeRequest(Prompt(prompt_size), max_tokens);
  request.conditioning = Mixture(weights);
  return request;
}

void ExpectAllFree(const EngineHarness& harness) {
  const LoadSnapshot load = harness.loop().Load();
  EXPECT_EQ(load.running, 0);
  EXPECT_EQ(load.waiting, 0);
  EXPECT_EQ(load.free_state_slots, SmallLimits().max_sequences);
}

// Random requests and mixtures side by side; ReferenceTokens knows nothing of batches. Returns how
// many branches they have before they are forked.
int RunBesideOthers(EngineHarness& harness, uint32_t seed, int64_t max_tokens) {
  std::mt19937 random(seed);
  int branches = 0;
  std::vector<GenerationRequest> requests;
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (int i = 0; i < 30; ++i) {
    GenerationRequest request = RandomRequest(random, 97);
    request.stopping.max_tokens = std::min(request.stopping.max_tokens, max_tokens);
    if (i % 2 == 0) {
      request.conditioning = RandomMixture(random);
      if (request.num_choices > 1) request.num_choices = 2;
    }
    sinks.push_back(harness.Start(request));
    branches += request.conditioning.num_branches();
    requests.push_back(std::move(request));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << ", request " << i);
    ExpectReference(requests[i], *sinks[i], harness.model());
  }
  ExpectAllFree(harness);
  return branches;
}

TEST(StepLoopMixtureTest, MixturesAndTheirNeighboursGetTheTokensOfTheDefinition) {
  EngineHarness harness;
  for (uint32_t seed = 0; seed < 4; ++seed) RunBesideOthers(harness, seed, 24);
}

TEST(StepLoopMixtureTest, SoTheyDoWhenPagesRunOut) {
  std::atomic<int> beginnings{0};  // of sequences and branches
  EngineHarness::Config config;
  config.limits.kv_bytes = KvBytes(52, config.limits.page_tokens);
  config.model.on_forward = [&beginnings](const ModelBatch& batch) {
    for (int64_t i = 0; i < batch.num_rows(); ++i) beginnings += batch.positions[i] == 0 ? 1 : 0;
    return absl::OkStatus();
  };
  EngineHarness harness(std::move(config));
  int branches = 0;
  for (uint32_t seed = 10; seed < 14; ++seed) branches += RunBesideOthers(harness, seed, 24);
  EXPECT_GT(beginnings, branches + 10);  // some gave way
  EXPECT_EQ(harness.loop().Load().free_kv_pages, 52);
}

TEST(StepLoopMixtureTest, WithoutPagesToo) {
  EngineHarness::Config config;
  config.model.num_kv_layers = 0;
  EngineHarness harness(std::move(config));
  RunBesideOthers(harness, 20, 24);
}

TEST(StepLoopMixtureTest, AllOfItMayBeTheWholeWorker) {
  EngineHarness::Config config;
  config.limits.max_rows_per_step = 32;
  config.limits.kv_bytes = KvBytes(8 * 5, config.limits.page_tokens);
  EngineHarness harness(std::move(config));
  const GenerationRequest whole =
      MixtureRequest(13, 7, {0.5f, 0.5f, -1, 0.25f, 0.25f, 0.25f, 0.25f, 1});
  const auto first = harness.Start(whole), second = harness.Start(whole);
  ExpectReference(whole, *first, harness.model());
  ExpectReference(whole, *second, harness.model());
  GenerationRequest forked = MixtureRequest(13, 7, {0.5f, 0.25f, 0.125f, 0.125f});
  forked.num_choices = 2;
  forked.sampling.temperature = 1;
  ExpectReference(forked, *harness.Start(forked), harness.model());
  ExpectAllFree(harness);
}

TEST(StepLoopMixtureTest, WhatCouldNeverFitIsRefused) {
  EngineHarness::Config config;
  config.limits.kv_bytes = KvBytes(20, config.limits.page_tokens);
  EngineHarness harness(std::move(config));
  const auto refusal = [&](GenerationRequest request) {
    request.sink = std::make_shared<CollectingSink>();
    const absl::Status status = harness.loop().Submit(std::move(request)).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_EQ(refusal(MixtureRequest(4, 4, std::vector<float>(7, 1))),
            "states: a mixture of 7, this worker mixes at most 6");
  GenerationRequest forked = MixtureRequest(4, 4, {1, 1, 1});
  forked.num_choices = 3;
  EXPECT_EQ(refusal(forked), "n: 3 choices of 3 states each, this worker runs at most 8 states");
  EXPECT_EQ(refusal(MixtureRequest(20, 5, {1, 1, 1})),
            "max_tokens: 5 beside a prompt of 20 tokens, this worker's memory holds 24 for each of "
            "3 states");
  EXPECT_EQ(refusal(MixtureRequest(4, 4, {1, NAN})),
            "state weight: nan, expected -1000000 to 1000000");
  const GenerationRequest fits = MixtureRequest(20, 4, {1, 1, 1});
  ExpectReference(fits, *harness.Start(fits), harness.model());
}

TEST(StepLoopMixtureTest, PromptScoresAreOfTheMixture) {
  EngineHarness harness;
  for (const int64_t max_tokens : {0, 3}) {
    GenerationRequest request = MixtureRequest(23, max_tokens, {1.5f, -0.75f, 0.25f});
    request.logprobs->prompt = true;
    request.logprobs->top = 3;
    const auto sink = harness.Start(request), beside = harness.Start(request);
    ASSERT_TRUE(sink->WaitEnd() && beside->WaitEnd());
    ASSERT_TRUE(sink->status().ok()) << sink->status();
    const std::vector<TokenOutput> scores = sink->start()->prompt;
    ASSERT_EQ(scores.size(), request.prompt.size());
    for (size_t i = 1; i < scores.size(); ++i) {
      const std::vector<float> logits =
          ReferenceLogits({request.prompt.data(), i}, request.conditioning, harness.model());
      double sum = 0;
      for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
      EXPECT_EQ(scores[i].token, request.prompt[i]);
      EXPECT_NEAR(*scores[i].logprob, logits[request.prompt[i]] - std::log(sum), 1e-5);
      const auto best = std::max_element(logits.begin(), logits.end());
      EXPECT_EQ(scores[i].top[0].token, best - logits.begin());
      EXPECT_EQ(*scores[i].logprob, *beside->start()->prompt[i].logprob);
    }
    EXPECT_EQ(sink->usage().prompt_tokens, 23);
    EXPECT_EQ(sink->usage().state_rows, 3);
  }
}

TEST(StepLoopMixtureTest, OneStateOfWeightOneIsNoMixture) {
  EngineHarness harness;
  GenerationRequest plain = MakeRequest(Prompt(9), 12);
  plain.sampling.temperature = 1;
  GenerationRequest named = plain;
  named.conditioning.branches = {{nullptr, 1}};
  GenerationRequest doubled = plain;
  doubled.conditioning.branches = {{nullptr, 2}};
  const auto first = harness.Start(plain), second = harness.Start(named),
             third = harness.Start(doubled);
  ExpectReference(plain, *first, harness.model());
  ExpectReference(named, *second, harness.model());
  ExpectReference(doubled, *third, harness.model());
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(first->choice(0).tokens[i].logprob, second->choice(0).tokens[i].logprob);
  }
  EXPECT_NE(first->choice(0).ids(), third->choice(0).ids());
}

TEST(StepLoopMixtureTest, RequestsOfTheSameStatesKeepTheirOwnWeights) {
  EngineHarness harness;
  Conditioning shared = Mixture({1, 0});
  std::vector<GenerationRequest> requests;
  std::vector<std::shared_ptr<CollectingSink>> sinks;
  for (const float share : {1.0f, 0.75f, 0.5f, -0.25f}) {
    shared.branches[0].weight = share;  // whoever runs has its own
    shared.branches[1].weight = 1 - share;
    requests.push_back(MakeRequest(Prompt(11), 20));
    requests.back().conditioning = shared;
    sinks.push_back(harness.Start(requests.back()));
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    ExpectReference(requests[i], *sinks[i], harness.model());
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    const size_t other = i == 0 ? 1 : i - 1;
    EXPECT_NE(sinks[i]->choice(0).ids(), sinks[other]->choice(0).ids());
  }
}

TEST(StepLoopMixtureTest, RowsOfMixturesAreCounted) {
  MetricsRegistry registry;
  WorkerMetrics metrics(registry, "m");
  EngineHarness::Config config;
  config.loop.metrics = &metrics;
  EngineHarness harness(std::move(config));
  const GenerationRequest mixture = MixtureRequest(9, 5, {0.5f, 0.5f, 1});
  const GenerationRequest plain = MakeRequest(Prompt(9), 5);
  const auto first = harness.Start(mixture), second = harness.Start(plain);
  ASSERT_TRUE(first->WaitEnd() && second->WaitEnd());
  harness.Stop();
  EXPECT_EQ(metrics.mixture_rows.Value(), 3 * (9 + 4));
  EXPECT_EQ(metrics.generated_tokens.Value(), 10);
}

// A loop whose every step waits for the test.
class GatedMixtureTest : public testing::Test {
 protected:
  void SetUp() override {
    EngineHarness::Config config;
    config.model.on_forward = [this](const ModelBatch& batch) { return gate_.Pass(batch); };
    harness_ = std::make_unique<EngineHarness>(std::move(config));
  }
  void TearDown() override {
    gate_.Open();
    harness_.reset();
  }

  StepGate gate_;
  std::unique_ptr<EngineHarness> harness_;
};

TEST_F(GatedMixtureTest, AllSlotsAreTakenAtOnceOrTheRequestWaits) {
  const GenerationRequest plain = MakeRequest(Prompt(3), 3);
  GenerationRequest mixture = MixtureRequest(4, 4, {0.5f, 0.25f, 0.25f});
  mixture.num_choices = 2;
  std::vector<std::shared_ptr<CollectingSink>> plains;
  plains.push_back(harness_->Start(plain));
  gate_.WaitHeld();
  for (int i = 0; i < 2; ++i) plains.push_back(harness_->Start(plain));
  EXPECT_EQ(gate_.Next().sequences, 3);
  const auto mixed = harness_->Start(mixture);  // six of the five that are free
  const auto behind = harness_->Start(plain);   // does not slip past
  EXPECT_EQ(gate_.Next().sequences, 3);
  EXPECT_EQ(harness_->loop().Load().waiting, 2);
  // The first ends, and its slot goes to the mixture: two go on decoding beside its three branches,
  // which are fed two tokens each.
  const StepGate::Step step = gate_.Next();
  EXPECT_EQ(step.sequences, 2 + 3);
  EXPECT_EQ(step.rows, 2 + 3 * 2);
  EXPECT_EQ(harness_->loop().Load().running, 8);
  EXPECT_EQ(harness_->loop().Load().waiting, 1);
  gate_.Open();
  ExpectReference(mixture, *mixed, harness_->model());
  ExpectReference(plain, *behind, harness_->model());
  for (const auto& sink : plains) ExpectReference(plain, *sink, harness_->model());
}

TEST_F(GatedMixtureTest, CancellingFreesEveryBranchOfEveryChoice) {
  for (const int steps : {0, 2, 7}) {  // while it is fed, and when its choices have been forked
    SCOPED_TRACE(steps);
    GenerationRequest mixture = MixtureRequest(9, 50, {0.5f, 0.25f, 0.25f});
    mixture.num_choices = 2;
    uint64_t id = 0;
    const auto mixed = harness_->Start(mixture, &id);
    gate_.WaitHeld();
    for (int i = 0; i < steps; ++i) gate_.Next();
    EXPECT_EQ(harness_->loop().Load().running, 6);
    const GenerationRequest plain = MakeRequest(Prompt(3), 2);
    const auto beside = harness_->Start(plain);
    harness_->loop().Cancel(id);
    EXPECT_EQ(gate_.Next().sequences, 1);
    ASSERT_TRUE(mixed->WaitEnd());
    EXPECT_EQ(mixed->status().code(), StatusCode::kCancelled);
    EXPECT_EQ(mixed->usage().state_rows, 3);
    gate_.Open();
    ExpectReference(plain, *beside, harness_->model());
    ASSERT_TRUE(harness_->loop().WaitIdle(absl::Seconds(20)));
    ExpectAllFree(*harness_);
    gate_.Close();
  }
}

TEST_F(GatedMixtureTest, AFailedStepEndsAMixtureOnce) {
  const auto mixed = harness_->Start(MixtureRequest(4, 4, {0.5f, 0.5f}));
  gate_.WaitHeld();
  gate_.Break(absl::InternalError("broken"));
  gate_.Open();
  ASSERT_TRUE(mixed->WaitEnd());
  EXPECT_EQ(mixed->status().code(), StatusCode::kInternal);
  EXPECT_EQ(mixed->misuse(), "");
  ASSERT_TRUE(harness_->loop().WaitIdle(absl::Seconds(20)));
  ExpectAllFree(*harness_);
}

}  // namespace
}  // namespace skein
