// What the launchers of CUDA bodies share: one way to start a kernel, and the device side of
// programmatic dependent launch.
#pragma once

#include <cstddef>
#include <utility>

#include <cuda_runtime.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"
#include "kernels/device/cuda_context.h"

namespace skein {

// Internal, with CUDA's words, if the kernel before could not be launched.
inline absl::Status LaunchStatus(absl::string_view kernel) {
  const cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(kernel, ": ", cudaGetErrorString(error)));
}

namespace cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;    // dynamic shared memory of a block
  unsigned cluster_size = 1;  // blocks along x that form a cluster; compute capability 9.0 and up
};

// Lets blocks of `kernel` have this much dynamic shared memory on the current device, and asks for
// multiprocessors with as much shared memory as they can have: blocks of two kernels fit on one
// only if both want it cut alike. Only the first call of a kernel costs anything. Thread-safe.
absl::Status AllowSharedMemory(const void* kernel, size_t shared_bytes);

// Enqueues `kernel` on the context's stream. With `context.dependent_launch`, and where the device
// can, it may start before the kernel ahead of it in the stream has ended. So every kernel that is
// launched here calls DependencyWait.
//
//   return cuda::Launch(context, "head", HeadKernel<4>, {grid, kThreads, bytes}, x, y, width);
template <typename... Params, typename... Args>
absl::Status Launch(const CudaContext& context, absl::string_view name, void (*kernel)(Params...),
                    const LaunchShape& shape, Args&&... args) {
  RETURN_IF_ERROR(AllowSharedMemory(reinterpret_cast<const void*>(kernel), shape.shared_bytes));
  cudaLaunchAttribute attributes[2] = {};
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = context.stream;
  config.attrs = attributes;
  if (context.dependent_launch && context.compute_capability >= 90) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.cluster_size > 1) {
    cudaLaunchAttribute& attribute = attributes[config.numAttrs++];
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = shape.cluster_size;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  }
  const cudaError_t error = cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...);
  if (error == cudaSuccess) return absl::OkStatus();
  static_cast<void>(cudaGetLastError());  // the error is reported here, not by a later launch
  return absl::InternalError(absl::StrCat(name, ": ", cudaGetErrorString(error)));
}

// Returns when the kernels before this one have ended and what they wrote can be read. Until then
// only constants such as weights may be touched: not what an earlier kernel of the step writes, and
// not what it may still read. Every block calls it, also one that has nothing to do.
__device__ inline void DependencyWait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

// Lets the next kernel start its prologue once all blocks have come here or ended. It says nothing
// about what this kernel has written: the next one waits for this one's end.
__device__ inline void ReleaseDependents() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

}  // namespace cuda
}  // namespace skein
