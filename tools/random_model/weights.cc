#include "tools/random_model/weights.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "common/base/check.h"
#include "worker/weights/content_hash.h"

namespace skein::random_model {
namespace {

// The `index`-th output of a counter with a mixing of its bits (SplitMix64).
uint64_t BitsAt(uint64_t state, uint64_t index) {
  uint64_t bits = state + (index + 1) * 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

uint32_t Encode(DType dtype, float value) {
  switch (dtype) {
    case DType::kBF16:
      return FloatToBf16(value);
    case DType::kF16:
      return FloatToFp16(value);
    default:
      return std::bit_cast<uint32_t>(value);
  }
}

}  // namespace

RandomWeights::RandomWeights(const PlannedTensor& tensor, DType dtype, uint64_t seed)
    : values_(tensor.values),
      dtype_(dtype),
      width_(tensor.shape.empty() ? 1 : tensor.shape.back()),
      state_(ContentHash(tensor.name, seed)) {
  SKEIN_CHECK(dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16);
  for (int64_t i = 0; i < kLevels; ++i) table_[i] = Encode(dtype, values_.mean + Level(i));
}

// Distance from the mean.
float RandomWeights::Level(int64_t index) const {
  const float unit = (static_cast<float>(2 * index + 1) - static_cast<float>(kLevels)) /
                     static_cast<float>(kLevels);
  return values_.spread * unit + (unit < 0 ? -values_.gap : values_.gap);
}

float RandomWeights::MeanAt(int64_t column) const {
  const float along =
      static_cast<float>(column) / static_cast<float>(std::max<int64_t>(width_ - 1, 1));
  return values_.mean + (values_.mean_end - values_.mean) * std::pow(along, values_.ramp);
}

template <typename T>
void RandomWeights::WriteAs(int64_t first, int64_t count, T* out) const {
  static_assert(kAlignment * 16 == 64);
  const auto level = [](uint64_t bits, int64_t i) {
    return (bits >> (16 * i)) & (static_cast<uint64_t>(kLevels) - 1);
  };
  for (int64_t at = 0; at < count; at += kAlignment) {
    const uint64_t bits = BitsAt(state_, static_cast<uint64_t>((first + at) / kAlignment));
    const int64_t piece = std::min(kAlignment, count - at);
    for (int64_t i = 0; i < piece; ++i) out[at + i] = static_cast<T>(table_[level(bits, i)]);
    if (values_.ramp <= 0.0f) continue;
    for (int64_t i = 0; i < piece; ++i) {
      const float mean = MeanAt((first + at + i) % width_);
      out[at + i] =
          static_cast<T>(Encode(dtype_, mean + Level(static_cast<int64_t>(level(bits, i)))));
    }
  }
  if (!values_.first_column.has_value()) return;
  const T fixed = static_cast<T>(Encode(dtype_, *values_.first_column));
  for (int64_t at = (width_ - first % width_) % width_; at < count; at += width_) out[at] = fixed;
}

void RandomWeights::Write(int64_t first, int64_t count, std::byte* out) const {
  SKEIN_CHECK(first % kAlignment == 0);
  if (DTypeBytes(dtype_) == 2) {
    WriteAs(first, count, reinterpret_cast<uint16_t*>(out));
  } else {
    WriteAs(first, count, reinterpret_cast<uint32_t*>(out));
  }
}

}  // namespace skein::random_model
