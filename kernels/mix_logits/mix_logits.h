// Mixes the logits of sequences that run side by side and share each token.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/dispatch.h"

namespace skein {

// For each group g of the terms [group_begin[g], group_begin[g + 1]):
//   logits[rows[first]] = sum over its terms k of weights[k] * logits[rows[k]]
// in fp32 and in the order of the terms. The sum takes the place of the group's first row, so rows
// of no group stay as they are, and cost nothing. A group without terms fills up a step of fixed
// size.
struct MixLogitsArgs {
  TensorView<float> logits;               // [outputs, vocab]
  TensorView<const int32_t> group_begin;  // [groups + 1], ascending
  TensorView<const int32_t> rows;         // [terms], of logits; none in two terms
  TensorView<const float> weights;        // [terms]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void MixLogitsRef(const MixLogitsArgs& args);
void MixLogitsCpu(const MixLogitsArgs& args, ParallelFor& threads);
// All views are device memory. The bits are the CPU's.
absl::Status MixLogitsCuda(const MixLogitsArgs& args, CudaContext& context);

inline absl::Status MixLogits(const MixLogitsArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(MixLogits, args, stream);
}

}  // namespace skein
