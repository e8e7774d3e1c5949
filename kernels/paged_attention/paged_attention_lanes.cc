#include "kernels/paged_attention/paged_attention_lanes.h"

#include "kernels/cpu/vec_math.h"

namespace skein::SKEIN_ISA_NAMESPACE {
namespace {

constexpr int64_t kBlock = 64;  // positions; also part of the definition of the result
constexpr int64_t kGroups = kBlock / kLanes;

// Keys and values of the positions of one block.
struct Block {
  int64_t count;
  const float* keys[kBlock];
  const float* values[kBlock];
};

// The running softmax of a head: its maximum and its sum of exponentials. The weighted values are
// in y.
struct Running {
  float maximum = -__builtin_inff();
  float sum = 0.0f;
};

void FindBlock(const AttentionCall& call, int64_t first, Block& block) {
  block.count = MinOf(kBlock, call.tokens - first);
  for (int64_t j = 0; j < block.count; ++j) {
    const int64_t t = first + j;
    const int64_t at =
        call.pages[t / call.page_tokens] * call.page_stride + t % call.page_tokens * call.head_dim;
    block.keys[j] = call.keys + at;
    block.values[j] = call.values + at;
  }
}

// Scaled scores of 16 positions from `first`; minus infinity where the block has none.
SKEIN_INLINE Vec Scores(const AttentionCall& call, const Block& block, const float* q,
                        int64_t first) {
  const int64_t count = MinOf(kLanes, block.count - first);
  Vec sums[kLanes];
  for (int64_t j = 0; j < kLanes; ++j) {
    Vec sum = Zero();
    if (j < count) {
      const float* key = block.keys[first + j];
      for (int64_t i = 0; i < call.head_dim; i += kLanes) {
        sum = Fma(LoadUpTo(q + i, call.head_dim - i), LoadUpTo(key + i, call.head_dim - i), sum);
      }
    }
    sums[j] = sum;
  }
  const Vec scores = Mul(SumEach(sums), Broadcast(call.scale));
  return IfLess(LaneIndex(), Broadcast(static_cast<float>(count)), scores,
                Broadcast(-__builtin_inff()));
}

float Largest(const Vec* scores, float at_least) {
  Vec lanes = Broadcast(at_least);
  for (int64_t i = 0; i < kGroups; ++i) lanes = Max(lanes, scores[i]);
  float values[kLanes];
  Store(values, lanes);
  float largest = values[0];
  for (int64_t i = 1; i < kLanes; ++i) largest = values[i] > largest ? values[i] : largest;
  return largest;
}

void AttendBlock(const AttentionCall& call, const Block& block, const float* q, Running& run,
                 float* y) {
  Vec scores[kGroups];
  for (int64_t i = 0; i < kGroups; ++i) scores[i] = Scores(call, block, q, i * kLanes);
  const float maximum = Largest(scores, run.maximum);
  float weights[kBlock];
  for (int64_t i = 0; i < kGroups; ++i) {
    scores[i] = Exp(Sub(scores[i], Broadcast(maximum)));
    Store(weights + i * kLanes, scores[i]);
  }
  const Vec shrink = Exp(Broadcast(run.maximum - maximum));
  float factor[kLanes];
  Store(factor, shrink);
  const float sum = Sum(Add(Add(scores[0], scores[1]), Add(scores[2], scores[3])));
  run.sum = run.sum * factor[0] + sum;
  run.maximum = maximum;
  for (int64_t i = 0; i < call.head_dim; i += kLanes) {
    const int64_t left = call.head_dim - i;
    Vec out = Mul(LoadUpTo(y + i, left), shrink);
    for (int64_t j = 0; j < block.count; ++j) {
      out = Fma(Broadcast(weights[j]), LoadUpTo(block.values[j] + i, left), out);
    }
    StoreUpTo(y + i, out, left);
  }
}

}  // namespace

void AttendRow(const AttentionCall& call) {
  Running runs[kMaxHeadGroup];
  for (int64_t i = 0; i < call.heads * call.head_dim; ++i) call.y[i] = 0.0f;
  Block block;
  for (int64_t first = 0; first < call.tokens; first += kBlock) {
    FindBlock(call, first, block);
    for (int64_t h = 0; h < call.heads; ++h) {
      AttendBlock(call, block, call.q + h * call.head_dim, runs[h], call.y + h * call.head_dim);
    }
  }
  for (int64_t h = 0; h < call.heads; ++h) {
    const Vec scale = Broadcast(1.0f / runs[h].sum);
    float* y = call.y + h * call.head_dim;
    for (int64_t i = 0; i < call.head_dim; i += kLanes) {
      const int64_t left = call.head_dim - i;
      StoreUpTo(y + i, Mul(LoadUpTo(y + i, left), scale), left);
    }
  }
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
