// Real arithmetic: a request with several states gives, bit for bit, what mixing the logits of as
// many sequences by hand gives, and changes nothing for whoever runs beside it.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/sample/penalty_table.h"
#include "kernels/sample/sample.h"
#include "tests/testing/collecting_sink.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "tests/worker/engine/random_state.h"
#include "worker/engine/step_loop.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr const char* kModels[] = {"rwkv/rand-x070/model.bf16.safetensors",
                                   "hybrid/hxa079-qknorm/model.safetensors.index.json"};
constexpr int kPageTokens = 4;

std::unique_ptr<Model> Load(const std::string& path, const Stream& stream) {
  auto files = ModelFiles::Open(path);
  EXPECT_TRUE(files.ok()) << files.status();
  ModelLoadOptions options;
  options.max_rows = 128;
  auto model = LoadModel(**files, options, stream);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

class MixtureModelTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto path = GoldenPath(GetParam());
    if (!path) GTEST_SKIP() << "not in the repository";
    path_ = *path;
    model_ = Load(path_, Stream(threads_));
    const StateLayout& layout = model_->state_layout();
    states_ = {RandomState(layout, 1, Stream(threads_)), nullptr,
               RandomState(layout, 2, Stream(threads_))};
  }

  GenerationRequest Request(int prompt_size, int64_t max_tokens) const {
    GenerationRequest request;
    for (int i = 0; i < prompt_size; ++i) request.prompt.push_back((i * i * 7 + i * 13) % 512);
    request.sampling.temperature = 0.8f;
    request.sampling.seed = 17;
    request.sampling.presence_penalty = 0.4f;
    request.sampling.frequency_penalty = 0.2f;
    request.stopping.max_tokens = max_tokens;
    request.logprobs = LogprobsParams{.top = 5};
    return request;
  }
  GenerationRequest Mixed(GenerationRequest request) const {
    request.conditioning.branches = {{states_[0], 0.75f}, {states_[1], -0.25f}, {states_[2], 0.5f}};
    return request;
  }

  // Every branch alone in its steps, its prompt whole; the sampler over what they add up to.
  std::vector<TokenOutput> ByHand(const GenerationRequest& request, int choice) {
    const std::vector<StateBranch>& branches = request.conditioning.branches;
    const auto count = static_cast<int>(branches.size());
    ModelRunner runner(*model_, Stream(threads_), {.sequences = count});
    std::vector<std::vector<float>> logits(count);
    for (int i = 0; i < count; ++i) {
      Install(branches[i].state.get(), i, runner);
      logits[i] = runner.Step({{i, request.prompt}}, ModelRunner::Wanted::kLastRows);
    }
    PenaltyTable penalties(request.sampling, request.prompt);
    std::vector<TokenOutput> drawn;
    for (int64_t n = 0; n < request.stopping.max_tokens; ++n) {
      std::vector<float> mixed(logits[0].size());
      for (size_t t = 0; t < mixed.size(); ++t) {
        mixed[t] = branches[0].weight * logits[0][t];
        for (int i = 1; i < count; ++i) mixed[t] += branches[i].weight * logits[i][t];
      }
      drawn.push_back(Draw(request, choice, n, penalties, mixed));
      penalties.Add(drawn.back().token);
      for (int i = 0; i < count; ++i) {
        logits[i] = runner.Step({{i, {drawn.back().token}}}, ModelRunner::Wanted::kLastRows);
      }
    }
    EXPECT_TRUE(runner.last_status().ok()) << runner.last_status();
    return drawn;
  }
  void Install(const InitialState* state, int sequence, ModelRunner& runner) const {
    if (state == nullptr) return;
    for (const StateField& field : model_->state_layout().fields) {
      runner.SetState(sequence, field.name, field.layer,
                      reinterpret_cast<const float*>(
                          static_cast<const char*>(state->record->data()) + field.offset));
    }
  }
  TokenOutput Draw(const GenerationRequest& request, int choice, int64_t step,
                   const PenaltyTable& penalties, std::vector<float>& logits) {
    const SamplingParams& params = request.sampling;
    const std::vector<SampleRow> row = {{.temperature = params.temperature,
                                         .presence_penalty = params.presence_penalty,
                                         .frequency_penalty = params.frequency_penalty,
                                         .seed = params.seed,
                                         .step = static_cast<uint64_t>(step),
                                         .choice = static_cast<uint32_t>(choice),
                                         .num_top = request.logprobs->top,
                                         .logprob = true}};
    std::vector<PenaltyEntry> entries;
    penalties.AppendTo(entries);
    const auto num_entries = static_cast<int32_t>(entries.size());
    const std::vector<int32_t> begin = {0, num_entries};
    int32_t token = 0;
    SampleOutcome outcome = SampleOutcome::kNotFinite;
    float logprob = 0;
    std::vector<int32_t> top_tokens(kMaxTopLogprobs);
    std::vector<float> top_logprobs(kMaxTopLogprobs);
    SampleArgs args;
    args.logits = {logits.data(), {1, static_cast<int64_t>(logits.size())}};
    args.rows = {row.data(), {1}};
    args.penalty_begin = {begin.data(), {2}};
    if (num_entries > 0) args.penalties = {entries.data(), {num_entries}};
    args.tokens = {&token, {1}};
    args.outcomes = {&outcome, {1}};
    args.logprobs = {&logprob, {1}};
    args.top_tokens = {top_tokens.data(), {1, kMaxTopLogprobs}};
    args.top_logprobs = {top_logprobs.data(), {1, kMaxTopLogprobs}};
    const absl::Status status = Sample(args, Stream(threads_));
    EXPECT_TRUE(status.ok() && outcome == SampleOutcome::kOk) << status;
    TokenOutput output{.token = token, .logprob = logprob, .top = {}};
    for (int i = 0; i < request.logprobs->top; ++i) {
      output.top.push_back({top_tokens[i], top_logprobs[i]});
    }
    return output;
  }

  // All requests in one engine whose pages hold `pages`.
  std::vector<std::shared_ptr<CollectingSink>> RunTogether(std::vector<GenerationRequest> requests,
                                                           int64_t pages) {
    StepLoop::Options options;
    options.limits = {.max_sequences = 16,
                      .max_rows_per_step = 48,
                      .prefill_chunk = 21,
                      .page_tokens = kPageTokens,
                      .kv_bytes = pages * kPageTokens * model_->kv_layout().bytes_per_token()};
    auto loop = StepLoop::Create(Load(path_, Stream(threads_)), nullptr, Stream(threads_),
                                 std::move(options));
    EXPECT_TRUE(loop.ok()) << loop.status();
    std::vector<std::shared_ptr<CollectingSink>> sinks;
    for (GenerationRequest& request : requests) {
      sinks.push_back(std::make_shared<CollectingSink>());
      request.sink = sinks.back();
      const auto accepted = (*loop)->Submit(std::move(request));
      EXPECT_TRUE(accepted.ok()) << accepted.status();
    }
    for (const auto& sink : sinks) {
      EXPECT_TRUE(sink->WaitEnd());
      EXPECT_TRUE(sink->status().ok()) << sink->status();
    }
    return sinks;
  }

  static void ExpectSame(const std::vector<TokenOutput>& found,
                         const std::vector<TokenOutput>& expected) {
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(found[i].token, expected[i].token);
      EXPECT_EQ(found[i].logprob, expected[i].logprob);
      ASSERT_EQ(found[i].top.size(), expected[i].top.size());
      for (size_t k = 0; k < found[i].top.size(); ++k) {
        EXPECT_EQ(found[i].top[k].token, expected[i].top[k].token);
        EXPECT_EQ(found[i].top[k].logprob, expected[i].top[k].logprob);
      }
    }
  }

  ParallelFor threads_{2};
  std::string path_;
  std::unique_ptr<Model> model_;
  std::vector<std::shared_ptr<const InitialState>> states_;
};

TEST_P(MixtureModelTest, AMixtureEqualsTheSumOfItsStatesByHand) {
  for (const int prompt_size : {1, 12, 50}) {  // in chunks of seven tokens
    SCOPED_TRACE(prompt_size);
    GenerationRequest request = Mixed(Request(prompt_size, 12));
    request.num_choices = 2;
    const auto sinks = RunTogether({request}, 200);
    for (const int choice : {0, 1}) {
      ExpectSame(sinks[0]->choice(choice).tokens, ByHand(request, choice));
    }
  }
}

TEST_P(MixtureModelTest, MixturesAndPlainRowsDoNotChangeEachOther) {
  std::vector<GenerationRequest> requests = {Request(30, 14), Mixed(Request(33, 14)),
                                             Request(9, 20), Mixed(Request(5, 20)), Request(41, 9)};
  requests[2].conditioning.branches = {{states_[2], 1}};
  for (const int64_t pages : {400, 46}) {  // the second holds one mixture and little else
    SCOPED_TRACE(pages);
    const auto together = RunTogether(requests, pages);
    for (size_t i = 0; i < requests.size(); ++i) {
      SCOPED_TRACE(i);
      GenerationRequest alone = requests[i];
      if (alone.conditioning.branches.empty()) alone.conditioning.branches = {{nullptr, 1}};
      ExpectSame(together[i]->choice(0).tokens, ByHand(alone, 0));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, MixtureModelTest, testing::ValuesIn(kModels),
                         [](const auto& info) { return info.index == 0 ? "rwkv7" : "hybrid"; });

}  // namespace
}  // namespace skein
