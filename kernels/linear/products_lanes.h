// The one dot product of the CPU backend, for decode and prefill alike.
//
// Sixteen partial sums: lane l adds w[k] x[k] for k = l, l + 16, ... in ascending order, each step
// one fused multiply-add; missing elements of the last step count as zeros. The lanes are then
// added as vec.h says. So a result depends on its row and its output alone: not on the other rows,
// the blocking, the threads or the instruction set.
#pragma once

#include <cstdint>

#include "kernels/cpu/isa_declare.h"

namespace skein {

enum class WeightType { kF32, kBf16, kF16 };

// y[m, o] = sum_k weight[o, k] x[m, k] for all rows m and for outputs [begin, end).
struct ProductCall {
  const void* weight = nullptr;  // [outputs, cols]
  WeightType type = WeightType::kF32;
  int64_t cols = 0;
  const float* x = nullptr;  // rows are x_stride apart
  int64_t x_stride = 0;
  int64_t rows = 0;
  float* y = nullptr;  // rows are y_stride apart; column o is output o
  int64_t y_stride = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

SKEIN_ISA_DECLARE(void Products(const ProductCall& call);
                  // out = fp32 of elements [begin, begin + n) of `weight`.
                  void WidenRow(const void* weight, WeightType type, int64_t begin, int64_t n,
                                float* out);)

}  // namespace skein
