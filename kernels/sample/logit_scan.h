// Passes over a row of logits, in blocks.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace skein {

inline constexpr int64_t kScanBlock = 256;

struct LogitMax {
  float max = 0;
  bool has_nan = false;
};
LogitMax FindMax(std::span<const float> logits);

// Index of the first element equal to `value`, which must occur.
int64_t FindFirst(std::span<const float> logits, float value);

// Weight (kernels/sample/weight.h) of the logits of block `block`; zeros beyond the end.
void WeightBlock(std::span<const float> logits, int64_t block, float max, float scale,
                 std::span<uint64_t, kScanBlock> out);
// Sum of the same over all blocks. With `block_sums`, the sum of each block.
uint64_t SumWeights(std::span<const float> logits, float max, float scale,
                    std::vector<uint64_t>* block_sums);

// Distance below the maximum, in sixteenths: bin = min(kBins - 1, floor(16 (max - logit) scale)).
// The last bin is everything farther away, minus infinity included.
inline constexpr int kBins = 256;
inline constexpr float kBinsPerUnit = 16;
struct LogitBins {
  std::vector<uint8_t> bin;            // of each logit
  std::array<int64_t, kBins> count{};  // of logits per bin
};
void FindBins(std::span<const float> logits, float max, float scale, LogitBins& bins);

struct RankedLogit {
  int32_t index = 0;
  float logit = 0;
};
// The `count` largest, largest first, ties by index.
void FindTop(std::span<const float> logits, int count, std::vector<RankedLogit>& top);

}  // namespace skein
