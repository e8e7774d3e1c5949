#include "tools/skein-eval/random_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "common/base/check.h"
#include "worker/weights/content_hash.h"

namespace skein::eval {

RandomWeights::RandomWeights(const PlannedTensor& tensor, uint64_t seed)
    : values_(tensor.values),
      width_(tensor.shape.empty() ? 1 : tensor.shape.back()),
      state_(ContentHash(tensor.name, seed)) {}

// A counter with a mixing of its bits (SplitMix64).
uint64_t RandomWeights::NextBits() {
  state_ += 0x9e3779b97f4a7c15;
  uint64_t bits = state_;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

void RandomWeights::Next(std::span<float> out) {
  constexpr float kToUnit = 1.0f / 2147483648.0f;  // int32 to [-1, 1)
  for (float& value : out) {
    const float unit = static_cast<float>(static_cast<int32_t>(NextBits() >> 32)) * kToUnit;
    float mean = values_.mean;
    if (values_.ramp > 0.0f) {
      const float along = static_cast<float>(position_++ % width_) /
                          static_cast<float>(std::max<int64_t>(width_ - 1, 1));
      mean += (values_.mean_end - values_.mean) * std::pow(along, values_.ramp);
    }
    value = mean + values_.spread * unit;
  }
}

void RoundTo(DType dtype, std::span<const float> values, std::vector<std::byte>& out) {
  SKEIN_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16);
  out.resize(values.size() * static_cast<size_t>(DTypeBytes(dtype)));
  if (dtype == DType::kF32) {
    std::memcpy(out.data(), values.data(), out.size());
    return;
  }
  const auto round = dtype == DType::kBF16 ? FloatToBf16 : FloatToFp16;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = round(values[i]);
    std::memcpy(out.data() + i * sizeof(bits), &bits, sizeof(bits));
  }
}

}  // namespace skein::eval
