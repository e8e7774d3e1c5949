// Second stage of RWKV-7 time mixing: from the products of time_mix_in to the gated output of the
// heads.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// docs/models/rwkv7.md, eq. 6 to 15. Per row and channel
//   w = exp(-e^(-1/2) sigmoid(w0 + w2 w_rank))   a = sigmoid(a0 + a2 a_rank)   g = g2 g_rank
//   layer 0: v_first = v;   later: v += (v_first - v) * sigmoid(v0 + v2 v_rank)
// per head the removal key, the scaled key, one step of wkv7, group norm and bonus; y is multiplied
// by g.
struct TimeMixWkvArgs {
  ConstActivationView r, k, v;                         // [rows, A]
  ConstActivationView w_rank, a_rank, v_rank, g_rank;  // [rows, rank]; v_rank empty in layer 0
  WeightMatrix w2, a2, v2, g2;                         // [A, rank]; v2 empty in layer 0
  TensorView<const float> w0, a0, v0;                  // [A]; v0 empty in layer 0
  TensorView<const float> k_k, k_a;                    // [A]
  TensorView<const float> r_k;                         // [H, N]
  TensorView<const float> norm_weight, norm_bias;      // [A]
  float norm_eps = 64e-5f;
  TensorView<const int32_t> positions;  // [rows]; what an fp16 state is rounded by
  SequenceRows sequences;
  StateTensor state;  // [H, N, N], row = value channel; updated
  // [sequences] of [A] each: factors of what wkv7 gives, before the norm; null where they are 1.
  // Empty: 1 everywhere. CPU only.
  std::span<const float* const> factors = {};

  ActivationView w, a, g, v_mix;  // workspace [rows, A]; v_mix empty in layer 0
  ActivationView v_first;         // [rows, A], written in layer 0, read later
  ActivationView y;               // [rows, A]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void TimeMixWkvRef(const TimeMixWkvArgs& args);
void TimeMixWkvCpu(const TimeMixWkvArgs& args, ParallelFor& threads);
absl::Status TimeMixWkvCuda(const TimeMixWkvArgs& args, CudaContext& context);

inline absl::Status TimeMixWkv(const TimeMixWkvArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(TimeMixWkv, args, stream);
}

}  // namespace skein
