// The random values of a planned tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/tensor/dtype.h"
#include "tools/random_model/shapes.h"

namespace skein::random_model {

// Values in the type that they are stored in. They depend on the tensor's name and shape, the type
// and the seed alone: not on how they are cut into pieces. Thread-safe.
class RandomWeights {
 public:
  // `dtype`: kF32, kBF16 or kF16.
  RandomWeights(const PlannedTensor& tensor, DType dtype, uint64_t seed);

  // Pieces begin at multiples of this many elements.
  static constexpr int64_t kAlignment = 4;
  // Elements [first, first + count), row-major, as bytes of the type.
  void Write(int64_t first, int64_t count, std::byte* out) const;

 private:
  // A draw picks one of so many equally likely levels.
  static constexpr int kLevelBits = 12;
  static constexpr int64_t kLevels = int64_t{1} << kLevelBits;

  template <typename T>
  void WriteAs(int64_t first, int64_t count, T* out) const;
  float Level(int64_t index) const;
  float MeanAt(int64_t column) const;

  Distribution values_;
  DType dtype_;
  int64_t width_;  // of the last dimension
  uint64_t state_;
  std::array<uint32_t, kLevels> table_;  // bits of each level in `dtype`
};

}  // namespace skein::random_model
