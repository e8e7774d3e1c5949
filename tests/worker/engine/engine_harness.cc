#include "tests/worker/engine/engine_harness.h"

#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

#include "common/base/check.h"
#include "kernels/sample/distribution.h"
#include "kernels/sample/penalty_table.h"
#include "kernels/sample/philox.h"

namespace skein {

EngineHarness::EngineHarness(Config config) : model_(config.model), threads_(config.num_threads) {
  config.loop.limits = config.limits;
  auto loop = StepLoop::Create(std::make_unique<FakeModel>(model_), config.tokenizer,
                               Stream(threads_), std::move(config.loop));
  SKEIN_CHECK(loop.ok());
  loop_ = *std::move(loop);
}

std::shared_ptr<CollectingSink> EngineHarness::Start(GenerationRequest request, uint64_t* id) {
  auto sink = std::make_shared<CollectingSink>();
  request.sink = sink;
  const auto accepted = loop_->Submit(std::move(request));
  SKEIN_CHECK(accepted.ok());
  if (id != nullptr) *id = *accepted;
  return sink;
}

GenerationRequest MakeRequest(std::vector<int32_t> prompt, int64_t max_tokens) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0;
  request.stopping.max_tokens = max_tokens;
  request.logprobs.emplace();
  return request;
}

GenerationRequest RandomRequest(std::mt19937& random, int64_t vocab_size) {
  std::vector<int32_t> prompt(1 + random() % 40);
  for (int32_t& token : prompt) token = static_cast<int32_t>(random() % vocab_size);
  GenerationRequest request =
      MakeRequest(std::move(prompt), static_cast<int64_t>(1 + random() % 24));
  request.sampling.temperature = random() % 4 == 0 ? 0.0f : 1.0f;
  request.sampling.top_p = random() % 2 == 0 ? 0.9f : 1.0f;
  request.sampling.top_k = random() % 3 == 0 ? 10 : 0;
  request.sampling.seed = random();
  if (random() % 2 == 0) {
    request.sampling.presence_penalty = 0.5f;
    request.sampling.frequency_penalty = 0.3f;
    request.sampling.penalty_decay = 0.9f;
  }
  if (random() % 3 == 0) request.sampling.repetition_penalty = 1.2f;
  if (random() % 3 == 0) request.stopping.end_tokens = {3, 50, 51};
  if (random() % 3 == 0) request.stopping.min_tokens = 4;
  if (random() % 5 == 0) request.sampling.banned_tokens = {7};
  request.num_choices = random() % 4 == 0 ? 3 : 1;
  return request;
}

Conditioning RandomMixture(std::mt19937& random) {
  Conditioning mixture;
  const size_t branches = 2 + random() % 2;
  for (size_t i = 0; i < branches; ++i) {
    std::shared_ptr<const InitialState> state;
    if (i == 0 || random() % 2 == 0) state = FakeModel::StateOfHash(1 + random() % 1000);
    const float weight = static_cast<float>(1 + random() % 15) / 10;
    mixture.branches.push_back({std::move(state), random() % 4 == 0 ? -weight : weight});
  }
  return mixture;
}

std::vector<float> ReferenceLogits(std::span<const int32_t> tokens,
                                   const Conditioning& conditioning,
                                   const FakeModel::Options& model) {
  if (conditioning.branches.empty()) return FakeModel::LogitsAfter(tokens, model);
  std::vector<float> mixed;
  for (const StateBranch& branch : conditioning.branches) {
    const std::vector<float> logits = FakeModel::LogitsAfter(tokens, model, branch.state.get());
    if (mixed.empty()) {
      for (const float logit : logits) mixed.push_back(branch.weight * logit);
    } else {
      for (size_t i = 0; i < logits.size(); ++i) mixed[i] += branch.weight * logits[i];
    }
  }
  return mixed;
}

std::vector<int32_t> ReferenceTokens(const GenerationRequest& request, int choice,
                                     const FakeModel::Options& model) {
  const SamplingParams& params = request.sampling;
  const SampleRow row{.temperature = params.temperature,
                      .top_p = params.top_p,
                      .min_p = params.min_p,
                      .top_k = params.top_k,
                      .presence_penalty = params.presence_penalty,
                      .frequency_penalty = params.frequency_penalty,
                      .repetition_penalty = params.repetition_penalty,
                      .order = params.order};
  PenaltyTable penalties(params, request.prompt);
  std::vector<int32_t> history = request.prompt, drawn;
  const std::vector<int32_t>& ends = request.stopping.end_tokens;
  while (static_cast<int64_t>(drawn.size()) < request.stopping.max_tokens) {
    std::vector<float> logits = ReferenceLogits(history, request.conditioning, model);
    std::vector<PenaltyEntry> entries;
    penalties.AppendTo(entries);
    std::vector<int32_t> banned = params.banned_tokens;
    const bool may_end = !request.stopping.ignore_eos &&
                         static_cast<int64_t>(drawn.size()) >= request.stopping.min_tokens;
    if (!may_end) banned.insert(banned.end(), ends.begin(), ends.end());
    EditLogits(row, {.penalties = entries, .biases = {}, .banned = banned, .mask = {}}, logits);
    Distribution distribution;
    SKEIN_CHECK(distribution.Build(row, logits) == SampleOutcome::kOk);
    const int32_t token =
        distribution.Draw(DrawUniform(params.seed, drawn.size(), static_cast<uint32_t>(choice)));
    drawn.push_back(token);
    history.push_back(token);
    penalties.Add(token);
    if (std::find(ends.begin(), ends.end(), token) != ends.end()) break;
  }
  return drawn;
}

void ExpectReference(const GenerationRequest& request, const CollectingSink& sink,
                     const FakeModel::Options& model) {
  ASSERT_TRUE(sink.WaitEnd());
  EXPECT_TRUE(sink.status().ok()) << sink.status();
  EXPECT_EQ(sink.misuse(), "");
  ASSERT_EQ(sink.num_choices(), static_cast<size_t>(request.num_choices));
  int64_t completion_tokens = 0;
  for (int choice = 0; choice < request.num_choices; ++choice) {
    const std::vector<int32_t> expected = ReferenceTokens(request, choice, model);
    const CollectingSink::Choice got = sink.choice(choice);
    EXPECT_EQ(got.ids(), expected) << "choice " << choice;
    const std::vector<int32_t>& ends = request.stopping.end_tokens;
    const bool ended = std::find(ends.begin(), ends.end(), expected.back()) != ends.end();
    EXPECT_EQ(got.finish, ended ? FinishReason::kStop : FinishReason::kLength);
    completion_tokens += static_cast<int64_t>(expected.size());
  }
  EXPECT_EQ(sink.usage().prompt_tokens, static_cast<int64_t>(request.prompt.size()));
  EXPECT_EQ(sink.usage().completion_tokens, completion_tokens);
  EXPECT_EQ(sink.usage().state_rows, request.conditioning.num_branches());
}

}  // namespace skein
