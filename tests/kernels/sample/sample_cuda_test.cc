// The CUDA sampler against the CPU's: the same tokens, on every shape of launch.
#include <algorithm>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "kernels/sample/sample.h"
#include "kernels/sample/sample_shape.h"
#include "tests/kernels/sample/sample_batch.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Randoms {
 public:
  explicit Randoms(uint32_t seed) : random_(seed) {}
  uint32_t Below(uint32_t end) { return random_() % end; }
  bool Chance(uint32_t one_in) { return Below(one_in) == 0; }
  template <typename T>
  T Pick(std::initializer_list<T> values) {
    return *(values.begin() + Below(static_cast<uint32_t>(values.size())));
  }
  float Normal(float deviation) { return std::normal_distribution<float>(0, deviation)(random_); }
  uint64_t Seed() { return uint64_t{random_()} << 32 | random_(); }

 private:
  std::mt19937 random_;
};

// Logits of many kinds, from those of trained models to those that no model has.
void FillLogits(Randoms& random, int kind, float* logits, int64_t vocab) {
  const float deviation = kind == 1 ? 0.1f : kind == 2 ? 1.0f : 3.0f;
  for (int64_t i = 0; i < vocab; ++i) logits[i] = random.Normal(deviation);
  for (int64_t i = 0; i < vocab; ++i) {
    if (kind == 3) logits[i] = std::round(logits[i] * 4) / 4;        // ties
    if (kind == 4) logits[i] = 2.5f;                                 // all equal
    if (kind == 5) logits[i] = i % 3 == 0 ? -kInfinity : logits[i];  // holes
    if (kind == 6) logits[i] = 100 + logits[i] * 1e-6f;              // crowded
    if (kind == 7) logits[i] = logits[i] * 1e-30f;                   // about zero
    if (kind == 8) logits[i] = logits[i] * 1e30f;                    // far apart
    if (kind == 9) logits[i] = i == vocab / 2 ? 60 : logits[i];      // one stands out
    if (kind == 10) logits[i] = i % 2 == 0 ? 0.0f : -0.0f;           // two zeros
    if (kind == 11)
      logits[i] = -12 + logits[i] / 8 + (i < 3 ? 20.0f - i : 0);  // a few, and a crowd
    if (kind == 15) logits[i] = 40 + logits[i];                   // all high
    if (kind == 16) logits[i] = -40 + logits[i];                  // all low
    if (kind == 17) logits[i] = 4 * logits[i];                    // beyond the usual on both sides
  }
  if (kind == 12) logits[random.Below(static_cast<uint32_t>(vocab))] = kInfinity;
  if (kind == 13) logits[random.Below(static_cast<uint32_t>(vocab))] = NAN;
  if (kind == 14) std::fill(logits, logits + vocab, -kInfinity);
}
constexpr int kKinds = 18;

SampleRow RandomRow(Randoms& random, uint32_t vocab) {
  SampleRow row;
  row.temperature = random.Pick({1.0f, 1.0f, 0.7f, 0.3f, 1.7f, 30.0f, 0.01f, 0.0f});
  row.top_p = random.Pick({1.0f, 0.8f, 0.8f, 0.313f, 0.05f, 0.97f, 0.99999f, 0.0f});
  row.min_p = random.Pick({0.0f, 0.0f, 0.0f, 0.0101f, 0.237f, 1.0f});
  row.top_k = random.Pick({0, 0, 0, 1, 2, 7, 40, 900, 20000});
  row.presence_penalty = random.Pick({0.0f, 0.5f, -1.0f});
  row.frequency_penalty = random.Pick({0.0f, 0.3f});
  row.repetition_penalty = random.Pick({1.0f, 1.3f, 0.8f});
  row.order = random.Pick({SamplingOrder::kRwkv, SamplingOrder::kHf});
  row.seed = random.Seed();
  row.step = random.Seed();
  row.choice = random.Below(3);
  row.given_token = random.Chance(12) ? static_cast<int32_t>(random.Below(vocab)) : -1;
  row.num_top = random.Pick({0, 0, 0, 1, 5, kMaxTopLogprobs});
  row.logprob = random.Chance(2);
  row.processed = random.Chance(2);
  row.padding = random.Chance(20);
  return row;
}

void AddLists(Randoms& random, uint32_t vocab, SampleBatch& batch) {
  const auto distinct = [&](uint32_t count) {
    std::vector<int32_t> tokens;
    for (uint32_t i = 0; i < count; ++i)
      tokens.push_back(static_cast<int32_t>(random.Below(vocab)));
    std::sort(tokens.begin(), tokens.end());
    tokens.erase(std::unique(tokens.begin(), tokens.end()), tokens.end());
    return tokens;
  };
  if (random.Chance(3)) {
    for (const int32_t token : distinct(random.Below(700))) {
      batch.penalties.push_back({.token = token,
                                 .count = std::abs(random.Normal(2)),
                                 .counted = random.Chance(2),
                                 .repeated = random.Chance(2)});
    }
  }
  if (random.Chance(4)) {
    for (const int32_t token : distinct(20)) batch.biases.push_back({token, random.Normal(8)});
  }
  if (random.Chance(4)) {
    for (const int32_t token : distinct(50)) batch.banned.push_back(token);
  }
  batch.penalty_begin.push_back(static_cast<int32_t>(batch.penalties.size()));
  batch.bias_begin.push_back(static_cast<int32_t>(batch.biases.size()));
  batch.banned_begin.push_back(static_cast<int32_t>(batch.banned.size()));
}

// Masks that allow most tokens, a few, one, and none.
void AddMasks(Randoms& random, int64_t vocab, SampleBatch& batch) {
  for (int mask = 0; mask < 4; ++mask) {
    const size_t first = batch.masks.size();
    for (int64_t word = 0; word < (vocab + 31) / 32; ++word) {
      const uint32_t bits = static_cast<uint32_t>(random.Seed());
      batch.masks.push_back(mask == 0                        ? ~(bits & (bits >> 7) & (bits << 9))
                            : mask == 1 && random.Chance(20) ? bits
                                                             : 0);
    }
    if (mask == 2) batch.masks[first + random.Below(static_cast<uint32_t>(vocab)) / 32] |= 1;
  }
}

SampleBatch RandomBatch(uint32_t seed, int64_t num_rows, int64_t vocab) {
  Randoms random(seed);
  SampleBatch batch(num_rows, vocab, 2 * kKinds);
  for (int i = 0; i < 2 * kKinds; ++i) {
    FillLogits(random, i % kKinds, batch.logits.data() + i * vocab, vocab);
  }
  batch.penalty_begin = batch.bias_begin = batch.banned_begin = {0};
  for (SampleRow& row : batch.rows) {
    // Strange logits less often than others.
    const uint32_t from = random.Below(2 * kKinds);
    batch.logits_row.push_back(static_cast<int32_t>(random.Chance(2) ? from : from % 4));
    row = RandomRow(random, static_cast<uint32_t>(vocab));
    if (random.Chance(4)) row.mask = random.Pick({0, 0, 1, 1, 1, 2, 3});
    AddLists(random, static_cast<uint32_t>(vocab), batch);
  }
  AddMasks(random, vocab, batch);
  return batch;
}

void ExpectNear(float found, float expected) {
  EXPECT_NEAR(found, expected, 1e-6 * std::max(1.0f, std::abs(expected)));
}

void ExpectSameRow(const SampleBatch& found, const SampleBatch& expected, int64_t i) {
  const SampleRow& row = expected.rows[i];
  SCOPED_TRACE(testing::Message() << "row " << i << " logits " << expected.logits_row[i] % kKinds
                                  << " T " << row.temperature << " top_p " << row.top_p << " min_p "
                                  << row.min_p << " top_k " << row.top_k << " hf "
                                  << (row.order == SamplingOrder::kHf) << " given "
                                  << row.given_token << " num_top " << row.num_top << " processed "
                                  << row.processed << " mask " << row.mask << " padding "
                                  << row.padding);
  ASSERT_EQ(found.outcomes[i], expected.outcomes[i]);
  ASSERT_EQ(found.tokens[i], expected.tokens[i]);
  if (row.padding || expected.outcomes[i] == SampleOutcome::kNotFinite) return;
  if (expected.outcomes[i] == SampleOutcome::kOk && (row.logprob || row.given_token >= 0)) {
    ExpectNear(found.logprobs[i], expected.logprobs[i]);
  }
  if (expected.outcomes[i] != SampleOutcome::kOk && row.processed) return;
  for (int j = 0; j < row.num_top; ++j) {
    const int64_t at = i * kMaxTopLogprobs + j;
    ASSERT_EQ(found.top_tokens[at], expected.top_tokens[at]) << j;
    ExpectNear(found.top_logprobs[at], expected.top_logprobs[at]);
  }
}

// In shapes of `blocks`; -1: as SampleCuda picks.
void ExpectAsOnTheCpu(uint32_t seed, int64_t num_rows, int64_t vocab,
                      const std::vector<int>& blocks) {
  if (!HasGpu()) return;
  SampleBatch expected = RandomBatch(seed, num_rows, vocab);
  const SampleBatch before = expected;
  ASSERT_TRUE(RunOn(Backend::kCpu, expected).ok());
  for (const int each : blocks) {
    SCOPED_TRACE(testing::Message() << "vocab " << vocab << " blocks " << each);
    SampleBatch found = before;
    const absl::Status ran = RunOnCuda(found, [&](const SampleArgs& args) {
      CudaContext& context = TestCudaContext();
      return each < 0 ? SampleCuda(args, context)
                      : LaunchSample(args, MakeSampleShape(each, vocab), context);
    });
    ASSERT_TRUE(ran.ok()) << ran;
    for (int64_t i = 0; i < num_rows && !testing::Test::HasFatalFailure(); ++i) {
      ExpectSameRow(found, expected, i);
    }
  }
}

TEST(SampleCudaTest, DrawsWhatTheCpuDrawsFromSmallVocabularies) {
  ExpectAsOnTheCpu(1, 2000, 97, {-1, 0, 1, 8});
  ExpectAsOnTheCpu(2, 2000, 1000, {-1, 0, 1, 2, 4, 8});
  ExpectAsOnTheCpu(3, 500, 3, {-1, 0});
  ExpectAsOnTheCpu(4, 500, 2057, {-1, 0, 2});
}

TEST(SampleCudaTest, DrawsWhatTheCpuDrawsFromModelVocabularies) {
  ExpectAsOnTheCpu(5, 400, 32768, {-1, 0, 1, 8});
  ExpectAsOnTheCpu(6, 600, 65536, {-1, 0, 2, 8});
  ExpectAsOnTheCpu(7, 3, 65536, {-1});
  ExpectAsOnTheCpu(8, 200, 151936, {-1, 4, 8});
  ExpectAsOnTheCpu(9, 40, 50277, {-1, 0});
}

// Small enough for the sanitizers.
TEST(SampleCudaTest, DrawsWhatTheCpuDrawsInAFewRows) {
  ExpectAsOnTheCpu(10, 60, 700, {-1, 0, 2});
  ExpectAsOnTheCpu(11, 12, 5000, {8});
}

}  // namespace
}  // namespace skein
