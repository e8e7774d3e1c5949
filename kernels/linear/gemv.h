// Products of one to four rows: as long as reading the weights once takes. With a norm and a token
// shift in front, every block makes its input itself, which saves a launch.
#pragma once

#include <cstdint>
#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/cuda_context.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/linear.h"

namespace skein {

// Whether GemvProducts takes these projections: one to four rows and at most eight matrices with
// the same number of inputs and the same 16-bit type, whose rows a block can stream; activations in
// that type or fp32. One projection alone may be transposed, with x in the type of the weights:
// then inputs that are zero in all rows cost nothing. Compute capability 9.0 to 11.x; never if the
// context asks for batch invariance.
bool CanGemv(std::span<const Projection> projections, const CudaContext& context);
absl::Status GemvProducts(std::span<const Projection> projections, CudaContext& context);

// How the inputs of all projections are made from the residual stream.
struct NormedInput {
  TensorView<const float> x;       // [.., inputs]
  TensorView<const int32_t> rows;  // [rows], rows of x; empty: row i is row i
  TensorView<const float> weight;  // [inputs]
  TensorView<const float> bias;    // [inputs] for layer norm, empty for RMS norm
  float eps = 0;
  // With a token shift: the sequences' last normed rows, which become the present ones. One row per
  // sequence.
  StateTensor shift;
  TensorView<const int32_t> slots;
};

// The same for projections whose x is norm(x), or with mixes norm(x) + (before - norm(x)) *
// mixes[i] for projection i. Their own x gives the number of rows and is not touched.
bool CanGemvNormed(const NormedInput& input, std::span<const Projection> projections,
                   const CudaContext& context);
absl::Status GemvNormed(const NormedInput& input, std::span<const Projection> projections,
                        std::span<const TensorView<const float>> mixes, CudaContext& context);
// y = silu(gate n) * (up n) with n = norm(x), for two projections of the same shape, gate and up; y
// is that of `up`.
absl::Status GemvGated(const NormedInput& input, const Projection& gate, const Projection& up,
                       CudaContext& context);

}  // namespace skein
