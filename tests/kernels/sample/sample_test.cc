#include "kernels/sample/sample.h"

#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/sample/distribution.h"
#include "kernels/sample/philox.h"

namespace skein {
namespace {

// A batch with room for its outputs.
struct Batch {
  Batch(int64_t rows, int64_t vocab)
      : vocab(vocab),
        logits(rows * vocab),
        rows(rows),
        tokens(rows, -1),
        outcomes(rows),
        logprobs(rows),
        top_tokens(rows * kMaxTopLogprobs),
        top_logprobs(rows * kMaxTopLogprobs) {}

  void Randomise(uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 3);
    for (float& logit : logits) logit = normal(random);
  }

  SampleArgs Args() {
    const int64_t n = static_cast<int64_t>(rows.size());
    SampleArgs args;
    args.logits = {logits.data(), {n, vocab}};
    args.rows = {rows.data(), {n}};
    if (!penalties.empty()) {
      args.penalty_begin = {penalty_begin.data(), {n + 1}};
      args.penalties = {penalties.data(), {static_cast<int64_t>(penalties.size())}};
    }
    if (!biases.empty()) {
      args.bias_begin = {bias_begin.data(), {n + 1}};
      args.biases = {biases.data(), {static_cast<int64_t>(biases.size())}};
    }
    if (!banned.empty()) {
      args.banned_begin = {banned_begin.data(), {n + 1}};
      args.banned = {banned.data(), {static_cast<int64_t>(banned.size())}};
    }
    const int64_t words = (vocab + 31) / 32;
    if (!masks.empty())
      args.masks = {masks.data(), {static_cast<int64_t>(masks.size()) / words, words}};
    args.tokens = {tokens.data(), {n}};
    args.outcomes = {outcomes.data(), {n}};
    args.logprobs = {logprobs.data(), {n}};
    args.top_tokens = {top_tokens.data(), {n, kMaxTopLogprobs}};
    args.top_logprobs = {top_logprobs.data(), {n, kMaxTopLogprobs}};
    return args;
  }

  int64_t vocab;
  std::vector<float> logits;
  std::vector<SampleRow> rows;
  std::vector<int32_t> penalty_begin, bias_begin, banned_begin, banned;
  std::vector<PenaltyEntry> penalties;
  std::vector<BiasEntry> biases;
  std::vector<uint32_t> masks;
  std::vector<int32_t> tokens;
  std::vector<SampleOutcome> outcomes;
  std::vector<float> logprobs;
  std::vector<int32_t> top_tokens;
  std::vector<float> top_logprobs;
};

absl::Status RunSample(Batch& batch, int num_threads = 2) {
  ParallelFor threads(num_threads);
  return Sample(batch.Args(), Stream(threads));
}

TEST(SampleTest, ARowDoesNotDependOnItsNeighboursNorOnThreads) {
  constexpr int kRows = 24, kVocab = 777;
  Batch all(kRows, kVocab);
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
  const Batch before = all;
  ASSERT_TRUE(RunSample(all, 3).ok());
  for (int i = 0; i < kRows; ++i) {
    SCOPED_TRACE(i);
    Batch one(1, kVocab);
    std::copy_n(before.logits.begin() + i * kVocab, kVocab, one.logits.begin());
    one.rows[0] = before.rows[i];
    ASSERT_TRUE(RunSample(one, 1).ok());
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

TEST(SampleTest, FrequenciesFollowTheProbabilities) {
  constexpr int kDraws = 20000;
  const std::vector<float> logits = {0, std::log(2.0f), std::log(5.0f)};
  Batch batch(1, 3);
  std::vector<int> count(3);
  ParallelFor threads(1);
  for (int step = 0; step < kDraws; ++step) {
    batch.logits = logits;
    batch.rows[0] = {.seed = 9, .step = static_cast<uint64_t>(step)};
    ASSERT_TRUE(Sample(batch.Args(), Stream(threads)).ok());
    ++count[batch.tokens[0]];
  }
  EXPECT_NEAR(count[0] / double{kDraws}, 1.0 / 8, 0.01);
  EXPECT_NEAR(count[1] / double{kDraws}, 2.0 / 8, 0.01);
  EXPECT_NEAR(count[2] / double{kDraws}, 5.0 / 8, 0.01);
}

TEST(SampleTest, RawLogprobsIgnorePenaltiesBiasesMasksAndTemperature) {
  Batch batch(1, 3);
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

TEST(SampleTest, ProcessedLogprobsAreOfTheDistributionDrawnFrom) {
  Batch batch(1, 4);
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

TEST(SampleTest, AGivenTokenIsScoredInsteadOfDrawn) {
  Batch batch(1, 3);
  batch.logits = {0, 1, 2};
  batch.rows[0] = {.temperature = 0, .given_token = 0, .num_top = 1};
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], 0);
  EXPECT_NEAR(batch.logprobs[0], -std::log(1 + std::exp(1.0) + std::exp(2.0)), 1e-6);
  EXPECT_EQ(batch.top_tokens[0], 2);
}

TEST(SampleTest, ADeadEndSpoilsItsRowAlone) {
  Batch batch(4, 64);
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

TEST(SampleTest, PenaltiesNearTheEndsOfFp32DrawAToken) {
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
    Batch batch(1, 40);
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

TEST(SampleTest, RowsMayShareLogitsWhichStayAsTheyAre) {
  Batch batch(3, 90);
  batch.Randomise(8);
  const std::vector<float> before = batch.logits;
  for (uint32_t i = 0; i < 3; ++i) batch.rows[i] = {.seed = 4, .choice = i, .logprob = true};
  batch.bias_begin = {0, 0, 1, 1};
  batch.biases = {{.token = 11, .bias = 90}};
  const std::vector<int32_t> from = {2, 2, 0};
  SampleArgs args = batch.Args();
  args.logits_row = {from.data(), {3}};
  ParallelFor threads(2);
  ASSERT_TRUE(Sample(args, Stream(threads)).ok());
  EXPECT_EQ(batch.logits, before);
  EXPECT_EQ(batch.tokens[1], 11);
  for (const int row : {0, 2}) {
    Batch alone(1, 90);
    std::copy_n(before.begin() + from[row] * 90, 90, alone.logits.begin());
    alone.rows[0] = batch.rows[row];
    ASSERT_TRUE(RunSample(alone).ok());
    EXPECT_EQ(batch.tokens[row], alone.tokens[0]);
    EXPECT_EQ(batch.logprobs[row], alone.logprobs[0]);
  }
}

TEST(SampleTest, PaddingIsLeftAlone) {
  Batch batch(2, 16);
  batch.rows[0].padding = true;
  batch.logits[3] = std::numeric_limits<float>::quiet_NaN();
  batch.outcomes[0] = SampleOutcome::kNothingAllowed;
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], -1);
  EXPECT_EQ(batch.outcomes[0], SampleOutcome::kNothingAllowed);
  EXPECT_GE(batch.tokens[1], 0);
}

TEST(SampleTest, MasksOutrankAnyBias) {
  Batch batch(1, 70);
  batch.rows[0] = {.temperature = 0, .mask = 0};
  batch.masks = {~uint32_t{0}, ~uint32_t{0}, 0b011111};
  batch.bias_begin = {0, 2};
  batch.biases = {{.token = 69, .bias = 100}, {.token = 68, .bias = 1}};
  ASSERT_TRUE(RunSample(batch).ok());
  EXPECT_EQ(batch.tokens[0], 68);
}

TEST(SampleTest, RefusesShapesThatDisagree) {
  Batch batch(2, 10);
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
