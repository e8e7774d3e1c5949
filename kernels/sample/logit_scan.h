// Passes over a row of logits, in blocks and with a fixed order of summation.
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

// exp((logits[i] - max) * scale) of block `block`; zeros beyond the end. Relative error below 3e-7,
// zero below e^-87.
void ExpBlock(std::span<const float> logits, int64_t block, float max, float scale,
              std::span<float, kScanBlock> out);
// Sum of the same over all blocks. With `block_sums`, the sum of each block.
double SumExp(std::span<const float> logits, float max, float scale,
              std::vector<double>* block_sums);

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
