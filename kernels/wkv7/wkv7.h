// The recurrence of RWKV-7, alone.
#pragma once

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/sequences.h"

namespace skein {

// For each sequence's tokens in order, per head of N channels (docs/models/rwkv7.md, eq. 12 to 14):
//   z[i]    = sum_j S[i][j] q[j]
//   S[i][j] = S[i][j] w[j] - z[i] b[j] + v[i] k[j]
//   y[i]    = sum_j S[i][j] r[j]
struct Wkv7Args {
  TensorView<const float> r, w, k, v;  // [rows, H, N]; w is the decay factor, in (0, 1)
  TensorView<const float> q;           // [rows, H, N], the removal key, of length 1 per head
  TensorView<const float> b;           // [rows, H, N], q * a
  TensorView<const int32_t> positions;  // [rows]; what an fp16 state is rounded by
  SequenceRows sequences;
  StateTensor state;    // [H, N, N], row = value channel; updated
  TensorView<float> y;  // [rows, H, N]

  // InvalidArgument if a shape disagrees, or N is beyond kMaxHeadSize (wkv7_lanes.h).
  absl::Status Validate() const;
};

void Wkv7Ref(const Wkv7Args& args);
void Wkv7Cpu(const Wkv7Args& args, ParallelFor& threads);
absl::Status Wkv7Cuda(const Wkv7Args& args, CudaContext& context);

inline absl::Status Wkv7(const Wkv7Args& args, const Stream& stream) {
  SKEIN_DISPATCH(Wkv7, args, stream);
}

}  // namespace skein
