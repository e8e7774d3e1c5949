// The random values of a planned tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/tensor/dtype.h"
#include "tools/skein-eval/model_shapes.h"

namespace skein::eval {

// A stream of values that depends on the tensor's name and the seed alone.
class RandomWeights {
 public:
  RandomWeights(const PlannedTensor& tensor, uint64_t seed);
  // The next out.size() elements, row-major.
  void Next(std::span<float> out);

 private:
  uint64_t NextBits();

  Distribution values_;
  int64_t width_;  // of the last dimension
  int64_t position_ = 0;
  uint64_t state_;
};

// `out` gets the values' bytes in `dtype`: kF32, kBF16 or kF16.
void RoundTo(DType dtype, std::span<const float> values, std::vector<std::byte>& out);

}  // namespace skein::eval
