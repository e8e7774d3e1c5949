// First stage of RWKV-7 time mixing: layer norm, token shift, and every product whose input they
// make.
#pragma once

#include <array>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/adapter/product_adapters.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// Per row, with n = LN(x) and p that of the token before (docs/models/rwkv7.md, eq. 4 to 9):
//   xc = n + (p - n) * mix[c]      for c in r, w, k, v, a, g
//   r = Wr xr   k = Wk xk   v = Wv xv
//   w_rank = tanh(w1 xw)   a_rank = a1 xa   v_rank = v1 xv   g_rank = sigmoid(g1 xg)
struct TimeMixInArgs {
  enum Input { kR, kW, kK, kV, kA, kG, kNumInputs };

  TensorView<const float> x;                       // [rows, D], the residual stream
  TensorView<const float> norm_weight, norm_bias;  // [D]
  float eps = 1e-5f;
  std::array<TensorView<const float>, kNumInputs> mix;  // [D] each
  WeightMatrix receptance, key, value;                  // [A, D]
  WeightMatrix w1, a1, v1, g1;  // [rank, D], each with its own rank; v1 empty in layer 0
  SequenceRows sequences;
  StateTensor shift;  // [D], n of the last token; read, then updated

  TensorView<float> normed;                      // workspace [rows, D]
  std::array<ActivationView, kNumInputs> mixed;  // workspace [rows, D] each

  ActivationView r, k, v;                         // [rows, A]
  ActivationView w_rank, a_rank, v_rank, g_rank;  // [rows, rank]; v_rank empty with v1

  // CPU only; of receptance, key and value.
  ProductAdapters r_adapters = {}, k_adapters = {}, v_adapters = {};

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void TimeMixInRef(const TimeMixInArgs& args);
void TimeMixInCpu(const TimeMixInArgs& args, ParallelFor& threads);
absl::Status TimeMixInCuda(const TimeMixInArgs& args, CudaContext& context);

inline absl::Status TimeMixIn(const TimeMixInArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(TimeMixIn, args, stream);
}

}  // namespace skein
