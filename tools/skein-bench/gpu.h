// What measuring on a GPU needs besides the operations: events, random data, plain traffic.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "kernels/device/cuda_context.h"

namespace skein::bench {

// Enqueues values spread evenly over (-spread, spread) for `count` elements of kF32, kF16 or kBF16.
absl::Status FillRandom(CudaContext& context, void* data, DType dtype, int64_t count, float spread,
                        uint64_t seed);

// Enqueues reading `bytes` (a multiple of 16) and writing one word that depends on all of them.
absl::Status ReadAll(CudaContext& context, const void* data, int64_t bytes, uint32_t* word);

// Seconds on the device of what `enqueue` enqueues, the median of `rounds`; `enqueue` is given the
// number of the round, and is called once before to warm up.
absl::StatusOr<double> DeviceSeconds(CudaContext& context, int rounds,
                                     absl::FunctionRef<absl::Status(int round)> enqueue);

}  // namespace skein::bench
