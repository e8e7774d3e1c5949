// The CUDA side of memory.h.
#pragma once

#include <cstddef>
#include <memory>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/cuda_context.h"
#include "kernels/device/memory.h"

namespace skein::cuda {

absl::StatusOr<std::unique_ptr<Arena>> CreateDeviceArena(size_t bytes);
absl::StatusOr<std::unique_ptr<Arena>> CreatePinnedArena(size_t bytes);
absl::StatusOr<std::unique_ptr<Arena>> Upload(const CudaContext& context, const Arena& host);
absl::Status Copy(CudaContext& context, void* to, const void* from, size_t bytes);
absl::Status Zero(CudaContext& context, void* to, size_t bytes);
absl::Status Synchronize(CudaContext& context);
absl::StatusOr<std::unique_ptr<Graph>> Capture(CudaContext& context,
                                               absl::FunctionRef<absl::Status()> enqueue);

}  // namespace skein::cuda
