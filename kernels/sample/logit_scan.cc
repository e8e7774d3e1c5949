#include "kernels/sample/logit_scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/sample/weight.h"

// The loops below are written for the vectoriser: elementwise, or one accumulator per lane. Each is
// compiled for several instruction sets, and the processor's is chosen once per call.
#if defined(__x86_64__) && defined(__GNUC__)
#define SKEIN_SCAN_X86 1
#else
#define SKEIN_SCAN_X86 0
#endif
#define SKEIN_SCAN_INLINE inline __attribute__((always_inline))

namespace skein {
namespace {

constexpr int kLanes = 16;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

SKEIN_SCAN_INLINE void WeighBody(const float* in, float max, float rate, uint64_t* out) {
  for (int i = 0; i < kScanBlock; ++i) out[i] = Weight(in[i], max, rate);
}

SKEIN_SCAN_INLINE uint64_t SumBody(const float* in, float max, float rate) {
  uint64_t sum = 0;
  for (int i = 0; i < kScanBlock; ++i) sum += Weight(in[i], max, rate);
  return sum;
}

SKEIN_SCAN_INLINE LogitMax MaxBody(const float* in) {
  float lanes[kLanes];
  int32_t nan[kLanes] = {};
  std::fill(lanes, lanes + kLanes, kMinusInfinity);
  for (int i = 0; i < kScanBlock; i += kLanes) {
    for (int j = 0; j < kLanes; ++j) {
      lanes[j] = in[i + j] > lanes[j] ? in[i + j] : lanes[j];
      nan[j] |= in[i + j] != in[i + j] ? 1 : 0;
    }
  }
  LogitMax result{lanes[0], nan[0] != 0};
  for (int j = 1; j < kLanes; ++j) {
    result.max = std::max(result.max, lanes[j]);
    result.has_nan |= nan[j] != 0;
  }
  return result;
}

SKEIN_SCAN_INLINE void BinBody(const float* in, float max, float scale, uint8_t* out) {
  for (int i = 0; i < kScanBlock; ++i) {
    const float distance = (max - in[i]) * scale * kBinsPerUnit;
    const float bounded = distance < kBins - 1 ? distance : static_cast<float>(kBins - 1);
    out[i] = static_cast<uint8_t>(static_cast<int32_t>(bounded));
  }
}

struct Passes {
  void (*weigh)(const float* in, float max, float rate, uint64_t* out);
  uint64_t (*sum)(const float* in, float max, float rate);
  LogitMax (*max)(const float* in);
  void (*bin)(const float* in, float max, float scale, uint8_t* out);
};

// NOLINTBEGIN(bugprone-macro-parentheses): an attribute takes no parentheses
#define SKEIN_SCAN_PASSES(name, attribute)                                            \
  attribute void Weigh##name(const float* in, float max, float rate, uint64_t* out) { \
    WeighBody(in, max, rate, out);                                                    \
  }                                                                                   \
  attribute uint64_t Sum##name(const float* in, float max, float rate) {              \
    return SumBody(in, max, rate);                                                    \
  }                                                                                   \
  attribute LogitMax Max##name(const float* in) { return MaxBody(in); }               \
  attribute void Bin##name(const float* in, float max, float scale, uint8_t* out) {   \
    BinBody(in, max, scale, out);                                                     \
  }                                                                                   \
  constexpr Passes k##name = {Weigh##name, Sum##name, Max##name, Bin##name};
// NOLINTEND(bugprone-macro-parentheses)

SKEIN_SCAN_PASSES(Plain, )
#if SKEIN_SCAN_X86
SKEIN_SCAN_PASSES(Avx2, __attribute__((target("avx2,fma"))))
#ifdef __clang__  // knows no preference in a target
SKEIN_SCAN_PASSES(Avx512, __attribute__((target("avx512f,avx512bw,avx512vl"))))
#else
SKEIN_SCAN_PASSES(Avx512,
                  __attribute__((target("avx512f,avx512bw,avx512vl,prefer-vector-width=512"))))
#endif
#endif

const Passes& Pick() {
#if SKEIN_SCAN_X86
  static const Passes& passes =
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") ? kAvx512
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")        ? kAvx2
                                                                               : kPlain;
  return passes;
#else
  return kPlain;
#endif
}

int64_t NumBlocks(std::span<const float> logits) {
  return (static_cast<int64_t>(logits.size()) + kScanBlock - 1) / kScanBlock;
}

// Block `block`, in place where it is whole, else copied to `buffer` and filled up with minus
// infinity.
const float* Block(std::span<const float> logits, int64_t block, float* buffer) {
  const int64_t begin = block * kScanBlock;
  const int64_t count = std::min(kScanBlock, static_cast<int64_t>(logits.size()) - begin);
  if (count == kScanBlock) return logits.data() + begin;
  std::memcpy(buffer, logits.data() + begin, count * sizeof(float));
  std::fill(buffer + count, buffer + kScanBlock, kMinusInfinity);
  return buffer;
}

bool RanksBefore(const RankedLogit& a, const RankedLogit& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.index < b.index;
}

}  // namespace

LogitMax FindMax(std::span<const float> logits) {
  const Passes& passes = Pick();
  alignas(64) float buffer[kScanBlock];
  LogitMax result{kMinusInfinity, false};
  for (int64_t block = 0; block < NumBlocks(logits); ++block) {
    const LogitMax part = passes.max(Block(logits, block, buffer));
    result.max = std::max(result.max, part.max);
    result.has_nan |= part.has_nan;
  }
  return result;
}

int64_t FindFirst(std::span<const float> logits, float value) {
  return std::find(logits.begin(), logits.end(), value) - logits.begin();
}

void WeightBlock(std::span<const float> logits, int64_t block, float max, float scale,
                 std::span<uint64_t, kScanBlock> out) {
  alignas(64) float buffer[kScanBlock];
  Pick().weigh(Block(logits, block, buffer), max, WeightRate(scale), out.data());
}

uint64_t SumWeights(std::span<const float> logits, float max, float scale,
                    std::vector<uint64_t>* block_sums) {
  const Passes& passes = Pick();
  const float rate = WeightRate(scale);
  alignas(64) float buffer[kScanBlock];
  if (block_sums != nullptr) block_sums->clear();
  uint64_t total = 0;
  for (int64_t block = 0; block < NumBlocks(logits); ++block) {
    const uint64_t sum = passes.sum(Block(logits, block, buffer), max, rate);
    if (block_sums != nullptr) block_sums->push_back(sum);
    total += sum;
  }
  return total;
}

void FindBins(std::span<const float> logits, float max, float scale, LogitBins& bins) {
  const Passes& passes = Pick();
  alignas(64) float buffer[kScanBlock];
  bins.bin.resize(NumBlocks(logits) * kScanBlock);
  uint32_t counts[4][kBins] =
      {};  // neighbours often share a bin: four tables keep their increments apart
  for (int64_t block = 0; block < NumBlocks(logits); ++block) {
    uint8_t* bin = bins.bin.data() + block * kScanBlock;
    passes.bin(Block(logits, block, buffer), max, scale, bin);
    for (int i = 0; i < kScanBlock; i += 4) {
      for (int j = 0; j < 4; ++j) ++counts[j][bin[i + j]];
    }
  }
  for (int i = 0; i < kBins; ++i) {
    bins.count[i] = int64_t{counts[0][i]} + counts[1][i] + counts[2][i] + counts[3][i];
  }
  bins.count[kBins - 1] -= static_cast<int64_t>(bins.bin.size() - logits.size());
  bins.bin.resize(logits.size());
}

void FindTop(std::span<const float> logits, int count, std::vector<RankedLogit>& top) {
  top.clear();
  const int64_t size = std::min<int64_t>(count, static_cast<int64_t>(logits.size()));
  if (size == 0) return;
  // A heap whose root is the weakest of the best so far.
  for (int64_t i = 0; i < size; ++i) top.push_back({static_cast<int32_t>(i), logits[i]});
  std::make_heap(top.begin(), top.end(), RanksBefore);
  for (int64_t i = size; i < static_cast<int64_t>(logits.size()); ++i) {
    // An equal one has the larger index: it ranks behind.
    if (!(logits[i] > top.front().logit)) continue;
    std::pop_heap(top.begin(), top.end(), RanksBefore);
    top.back() = {static_cast<int32_t>(i), logits[i]};
    std::push_heap(top.begin(), top.end(), RanksBefore);
  }
  std::sort_heap(top.begin(), top.end(), RanksBefore);
}

}  // namespace skein
