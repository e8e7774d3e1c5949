// Query and key norms of an attention layer, and the keys' and values' way into the pages.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/kv_pages.h"
#include "kernels/device/sequences.h"

namespace skein {

// Per head, where the model has the norms: q = RMS(q), k = RMS(k). Then page(token) = k, v. No
// position embedding.
struct KvAppendArgs {
  ActivationView q;                        // [rows, H * N], normed in place
  ConstActivationView k, v;                // [rows, KV * N]
  TensorView<const float> q_norm, k_norm;  // [N] both, or both empty
  float norm_eps = 1e-6f;
  TensorView<const int32_t> positions;  // [rows]
  SequenceRows sequences;
  KvPages pages;  // written

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void KvAppendCpu(const KvAppendArgs& args, ParallelFor& threads);
absl::Status KvAppendCuda(const KvAppendArgs& args, CudaContext& context);

inline absl::Status KvAppend(const KvAppendArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(KvAppend, args, stream);
}

}  // namespace skein
