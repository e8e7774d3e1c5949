// Second stage of a hybrid's RWKV layer: from the products of its normalised input to the gated
// output of the heads.
#pragma once

#include <span>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// docs/models/hybrid.md, eq. 6 to 17. H heads of N channels read KV heads of keys and values, H /
// KV consecutive heads sharing one. C = H N, E = KV N. Per row
//   r, k: RMS norm per head where the model has it, then rotation
//   first RWKV layer: k_first = k, v_first = v
//   later: k += (k_first - k) * sigmoid(k0 + k2 k_rank), v likewise
//   u = w0 + w2 w_rank   omega = -softplus(-u) - 1/2   w = exp(-exp(omega))
//   a = sigmoid(a0 + a2 a_rank)   g = g2 g_rank
//   q = k / max(|k|, 1e-12) per head   kt = k (1 - omega + a)
//   y = (wkv7(r, w, kt, v, q, q a) N^(-1/2) + (sum r kt r_k) v) g
// On CUDA heads have 64, 96 or 128 channels.
struct HybridWkvArgs {
  ConstActivationView r;                                       // [rows, C]
  ConstActivationView k, v;                                    // [rows, E]
  ConstActivationView w_rank, a_rank, g_rank, k_rank, v_rank;  // [rows, rank]
  WeightMatrix w2, a2, g2;                                     // [C, rank]
  WeightMatrix k2, v2;                     // [E, rank]; empty in the first RWKV layer
  TensorView<const float> w0, a0;          // [C]
  TensorView<const float> k0, v0;          // [E]; empty in the first RWKV layer
  TensorView<const float> r_norm, k_norm;  // [N] both, or both empty
  float norm_eps = 1e-6f;
  TensorView<const float> r_k;             // [H, N]
  TensorView<const float> cosines, sines;  // [rows, N / 2]
  TensorView<const int32_t> positions;     // [rows]
  SequenceRows sequences;
  StateTensor state;  // [H, N, N] in fp32, row = value channel; updated
  // [sequences] of [C] each: factors of what wkv7 gives; null where they are 1. Empty: 1
  // everywhere. CPU only.
  std::span<const float* const> factors = {};

  ActivationView u, a, g;           // workspace [rows, C]
  ActivationView k_mix, v_mix;      // workspace [rows, E], empty with k2 and v2
  ActivationView k_first, v_first;  // [rows, E], written in the first layer, read later
  ActivationView y;                 // [rows, C]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void HybridWkvRef(const HybridWkvArgs& args);
void HybridWkvCpu(const HybridWkvArgs& args, ParallelFor& threads);
absl::Status HybridWkvCuda(const HybridWkvArgs& args, CudaContext& context);

inline absl::Status HybridWkv(const HybridWkvArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(HybridWkv, args, stream);
}

}  // namespace skein
