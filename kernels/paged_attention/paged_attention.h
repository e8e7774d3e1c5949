// Causal attention of a step's rows over paged keys and values.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/dispatch.h"
#include "kernels/device/kv_pages.h"
#include "kernels/device/sequences.h"

namespace skein {

// Per row and head h, over tokens t = 0 ... positions[row] of its sequence, which are in the pages
// already:
//   s[t] = q[h] . key[t][h / G] * N^(-1/2)    y[h] = sum_t softmax(s)[t] value[t][h / G]      G = H
//   / KV
// On the CPU the sums run over blocks of 64 absolute positions, so neither pages nor chunks change
// a bit.
struct PagedAttentionArgs {
  ConstActivationView q;                // [rows, H * N]
  TensorView<const int32_t> positions;  // [rows]
  SequenceRows sequences;
  KvPages pages;
  ActivationView y;  // [rows, H * N]

  // InvalidArgument if a shape disagrees.
  absl::Status Validate() const;
};

void PagedAttentionRef(const PagedAttentionArgs& args);
void PagedAttentionCpu(const PagedAttentionArgs& args, ParallelFor& threads);
absl::Status PagedAttentionCuda(const PagedAttentionArgs& args, CudaContext& context);

inline absl::Status PagedAttention(const PagedAttentionArgs& args, const Stream& stream) {
  SKEIN_DISPATCH(PagedAttention, args, stream);
}

}  // namespace skein
