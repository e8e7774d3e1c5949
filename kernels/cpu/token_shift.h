// Layer norm and token shift, as both halves of an RWKV layer begin: the CPU body of those
// operations.
#pragma once

#include <span>

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/parallel_for.h"
#include "kernels/device/sequences.h"

namespace skein {

struct TokenShift {
  TensorView<const float> x;                       // [rows, width]
  TensorView<const float> norm_weight, norm_bias;  // [width]
  float eps = 1e-5f;
  SequenceRows sequences;
  StateTensor
      shift;  // [width]: the normalised input of the sequence's last token; read, then updated
  TensorView<float> normed;  // [rows, width], workspace
};
// out = n + (before - n) * mix, with n the normalised row and `before` that of the token before it.
struct ShiftedInput {
  TensorView<const float> mix;  // [width]
  ActivationView out;           // [rows, width]
};

void TokenShiftCpu(const TokenShift& args, std::span<const ShiftedInput> inputs,
                   ParallelFor& threads);
// In double precision.
void TokenShiftRef(const TokenShift& args, std::span<const ShiftedInput> inputs);

}  // namespace skein
