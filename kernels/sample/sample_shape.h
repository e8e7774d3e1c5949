// How the CUDA sampler spreads a batch over the device.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "kernels/device/cuda_context.h"
#include "kernels/sample/sample.h"

namespace skein {

inline constexpr int kSampleWarps = 8;  // of a block

// What a row is drawn as does not depend on it.
struct SampleShape {
  int blocks = 0;     // of a row's cluster: 1, 2, 4 or 8; 0: no clusters, logits in the workspace
  int64_t chunk = 0;  // logits of a warp, a multiple of 128
};

SampleShape PickSampleShape(int64_t rows, int64_t vocab, const CudaContext& context);
// The shape for clusters of so many blocks (0: none), whatever the batch.
SampleShape MakeSampleShape(int blocks, int64_t vocab);

// SampleCuda with a shape of the caller's choice.
absl::Status LaunchSample(const SampleArgs& args, const SampleShape& shape, CudaContext& context);

}  // namespace skein
