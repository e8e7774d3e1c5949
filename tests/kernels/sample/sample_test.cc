#include "kernels/sample/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/sample/sample_batch.h"

namespace skein {
namespace {

class SampleTest : public testing::TestWithParam<Backend> {
 protected:
  void SetUp() override {
    const std::vector<Backend> runnable = RunnableBackends();
    if (std::count(runnable.begin(), runnable.end(), GetParam()) == 0) GTEST_SKIP() << "no GPU";
  }
  absl::Status RunSample(SampleBatch& batch) { return RunOn(GetParam(), batch); }
};

INSTANTIATE_TEST_SUITE_P(Backends, SampleTest, testing::ValuesIn(BuiltBackends()));

TEST_P(SampleTest, ARowDoesNotDependOnItsNeighbours) {
  constexpr int kRows = 24, kVocab = 777;
  SampleBatch all(kRows, kVocab);
  all.Randomise(1);
  std::mt19937 random(2);
  for (int i = 0; i < kRows; ++i) {
    all.rows[i] = {.temperature = i % 5 == 0 ? 0.0f : 0.9f,
                   .top_p = i % 3 == 0 ? 0.8f : 1.0f,
                   .top_k = i % 4 == 0 ? 20 : 0,
                   .seed = random(),
                   .step = static_cast<uint64_t>(i),
                   .num_top = i % 6,
                   .logprob = i % 2 == 0};
  }
  const SampleBatch before = all;
  ASSERT_TRUE(RunSample(all).ok());
  for (int i = 0; i < kRows; ++i) {
    SCOPED_TRACE(i);
    SampleBatch one(1, kVocab);
    std::copy_n(before.logits.begin() + i * kVocab, kVocab, one.logits.begin());
    one.rows[0] = before.rows[i];
    ASSERT_TRUE(RunSample(one).ok());
    EXPECT_EQ(one.outcomes[0], SampleOutcome::kOk);
    EXPECT_EQ(one.tokens[0], all.tokens[i]);
    if (one.rows[0].logprob) {
      EXPECT_EQ(one.logprobs[0], all.logprobs[i]);
    }
    for (int j = 0; j < one.rows[0].num_top; ++j) {
      EXPECT_EQ(one.top_tokens[j], all.top_tokens[i * kMaxTopLogprobs + j]);
      EXPECT_EQ(one.top_logprobs[j], all.top_logprobs[i * kMaxTopLogprobs + j]);
    }
  }
}

TEST_P(SampleTest, FrequenciesFollowTheProbabilities) {
  constexpr int kDraws = 20000;
  SampleBatch batch(kDraws, 3, 1);
  batch.logits = {0, std::log(2.0f), std::log(5.0f)};
  batch.logits_row.assign(kDraws, 0);
  for (uint64_t step = 0; step < kDraws; ++step) batch.rows[step] = {.seed = 9, .step = step};
  ASSERT_TRUE(RunSample(batch).ok());
  std::vector<int> count(3);
  for (const int32_t token : batch.tokens) ++count[token];
  EXPECT_NEAR(count[0] / double{kDraws}, 1.0 / 8, 0.01);
  EXPECT_NEAR(count[1] / double{kDraws}, 2.0 / 8, 0.01);
  EXPECT_NEAR(count[2] / double{kDraws}, 5.0 / 8, 0.01);
}

TEST_P(SampleTest, RawLogprobsIgnorePenaltiesBiasesMasksAndTemperature) {
  SampleBatch batch(1, 3);
  batch.logits = {0, 1, 2};
  batch.rows[0] = {
      .temperature = 0, .presence_penalty = 1, .mask = 0, .num_top = 3, .logprob = true};
  batch.penalty_begin = {0, 1};
  batch.penalties = {{.token = 1, .count = 1, .counted = true}};
  batch.bias_begin = {0, 1};
  batch.biases = {{.token = 1, .bias = 5}};
  batch.masks = {0b011};
  ASSERT_TRUE(RunSample(batch).ok());
  const double log_total = std::log(1 + std::exp(1.0) + std::exp(2.0));
  EXPECT_EQ(batch.tokens[0], 1);
  EXPECT_NEAR(batch.logprobs[0], 1 - log_total, 1e-6);
  EXPECT_THAT(std::vector<int32_t>(batch.top_tokens.begin(), batch.top_tokens.begin() + 3),
              testing::ElementsAre(2, 1, 0));
  EXPECT_NEAR(batch.top_logprobs[0], 2 - log_total, 1e-6);
}

TEST_P(SampleTest, ProcessedLogprobsAreOfTheDistributionDrawnFrom) {
  SampleBatch batch(1, 4);
  batch.logits = {0, 1, 2, -1};
  batch.rows[0] = {
      .temperature = 0.5f, .top_k = 2, .num_top = 3, .logprob = true, .processed = true};
  ASSERT_TRUE(RunSample(batch).ok());
  const double best = -std::log1p(std::exp(-2.0));
  EXPECT_NEAR(batch.logprobs[0], batch.tokens[0] == 2 ? best : best - 2, 1e-6);
  EXPECT_NEAR(batch.top_logprobs[0], best, 1e-6);
  EXPECT_NEAR(batch.top_logprobs[1], best - 2, 1e-6);
  EXPECT_EQ(batch.top_tokens[2], 0);
  EXPECT_EQ(batch.top_logprobs[2], kCutLogprob);
}

TEST_P(SampleTest, AGivenTokenIsScoredInsteadOfDrawn) {
  SampleBatch batch(1, 3);
  batch.logits = {0, 1, 2};
  batch.rows[0] = {.temperature = 0, .given_token = 0, .num_top = 1};
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], 0);
  EXPECT_NEAR(batch.logprobs[0], -std::log(1 + std::exp(1.0) + std::exp(2.0)), 1e-6);
  EXPECT_EQ(batch.top_tokens[0], 2);
}

TEST_P(SampleTest, ADeadEndSpoilsItsRowAlone) {
  SampleBatch batch(4, 64);
  batch.Randomise(3);
  batch.rows[1].mask = 0;
  batch.masks = {0, 1};  // token 32 alone
  batch.banned_begin = {0, 0, 1, 1, 1};
  batch.banned = {32};
  batch.logits[2 * 64 + 7] = std::numeric_limits<float>::quiet_NaN();
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_THAT(batch.outcomes,
              testing::ElementsAre(SampleOutcome::kOk, SampleOutcome::kNothingAllowed,
                                   SampleOutcome::kNotFinite, SampleOutcome::kOk));
  EXPECT_GE(batch.tokens[3], 0);
}

TEST_P(SampleTest, PenaltiesNearTheEndsOfFp32DrawAToken) {
  struct Case {
    const char* name;
    SampleRow row;
    int32_t expected;
  };
  for (const Case& c :
       {Case{"repetition", {.temperature = 0, .repetition_penalty = 1e-39f}, 3},
        Case{"presence", {.temperature = 0, .presence_penalty = -3e38f}, 3},
        Case{"presence and frequency",
             {.temperature = 0, .presence_penalty = -3e38f, .frequency_penalty = -3e38f},
             3},
        Case{"all against each other",
             {.temperature = 0,
             .presence_penalty = 3e38f,
             .frequency_penalty = 3e38f,
             .repetition_penalty = 1e-39f},
             5}}) {
    SCOPED_TRACE(c.name);
    SampleBatch batch(1, 40);
    batch.rows[0] = c.row;
    batch.logits[3] = 1;
    batch.logits[5] = 2;
    batch.penalties = {{.token = 3, .count = 1, .counted = true, .repeated = true}};
    batch.penalty_begin = {0, 1};
    ASSERT_TRUE(RunSample(batch).ok());
    EXPECT_EQ(batch.outcomes[0], SampleOutcome::kOk);
    EXPECT_EQ(batch.tokens[0], c.expected);
  }
}

TEST_P(SampleTest, RowsMayShareLogitsWhichStayAsTheyAre) {
  SampleBatch batch(3, 90);
  batch.Randomise(8);
  const std::vector<float> before = batch.logits;
  for (uint32_t i = 0; i < 3; ++i) batch.rows[i] = {.seed = 4, .choice = i, .logprob = true};
  batch.bias_begin = {0, 0, 1, 1};
  batch.biases = {{.token = 11, .bias = 90}};
  const std::vector<int32_t> from = {2, 2, 0};
  batch.logits_row = from;
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.logits, before);
  EXPECT_EQ(batch.tokens[1], 11);
  for (const int row : {0, 2}) {
    SampleBatch alone(1, 90);
    std::copy_n(before.begin() + from[row] * 90, 90, alone.logits.begin());
    alone.rows[0] = batch.rows[row];
    ASSERT_TRUE(RunSample(alone).ok());
    EXPECT_EQ(batch.tokens[row], alone.tokens[0]);
    EXPECT_EQ(batch.logprobs[row], alone.logprobs[0]);
  }
}

TEST_P(SampleTest, PaddingIsLeftAlone) {
  SampleBatch batch(2, 16);
  batch.rows[0].padding = true;
  batch.logits[3] = std::numeric_limits<float>::quiet_NaN();
  batch.outcomes[0] = SampleOutcome::kNothingAllowed;
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], -1);
  EXPECT_EQ(batch.outcomes[0], SampleOutcome::kNothingAllowed);
  EXPECT_GE(batch.tokens[1], 0);
}

TEST_P(SampleTest, MasksOutrankAnyBias) {
  SampleBatch batch(1, 70);
  batch.rows[0] = {.temperature = 0, .mask = 0};
  batch.masks = {~uint32_t{0}, ~uint32_t{0}, 0b011111};
  batch.bias_begin = {0, 2};
  batch.biases = {{.token = 69, .bias = 100}, {.token = 68, .bias = 1}};
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], 68);
}

TEST_P(SampleTest, RefusesShapesThatDisagree) {
  SampleBatch batch(2, 10);
  SampleArgs args = batch.Args();
  args.rows = {batch.rows.data(), {1}};
  EXPECT_EQ(args.Validate().code(), absl::StatusCode::kInvalidArgument);
  args = batch.Args();
  args.masks = {&*batch.masks.insert(batch.masks.end(), 2, 0), {1, 2}};
  EXPECT_EQ(args.Validate().code(), absl::StatusCode::kInvalidArgument);
  args = batch.Args();
  args.logits = {};
  EXPECT_EQ(args.Validate().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace skein
