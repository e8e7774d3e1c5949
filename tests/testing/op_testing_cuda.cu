#include <cstdlib>

#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "tests/testing/op_testing.h"

namespace skein {

bool HasGpu() {
  int count = 0;
  const bool found = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  if (!found && std::getenv("SKEIN_REQUIRE_GPU") != nullptr) ADD_FAILURE() << "no GPU";
  return found;
}

std::shared_ptr<void> PinnedAllocate(size_t bytes) {
  void* data = nullptr;
  SKEIN_CHECK(cudaMallocHost(&data, bytes) == cudaSuccess);
  return {data, cudaFreeHost};
}

CudaContext& TestCudaContext() {
  static CudaContext* const context = [] {
    constexpr size_t kWorkspaceBytes = size_t{256} << 20;
    constexpr int64_t kCounters = 1 << 16;
    auto* made = new CudaContext();
    cudaDeviceProp properties;
    SKEIN_CHECK(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
    made->sm_count = properties.multiProcessorCount;
    made->compute_capability = 10 * properties.major + properties.minor;
    SKEIN_CHECK(cudaMalloc(&made->workspace, kWorkspaceBytes) == cudaSuccess);
    made->workspace_bytes = kWorkspaceBytes;
    SKEIN_CHECK(cudaMalloc(&made->counters, kCounters * sizeof(uint32_t)) == cudaSuccess);
    SKEIN_CHECK(cudaMemset(made->counters, 0, kCounters * sizeof(uint32_t)) == cudaSuccess);
    made->num_counters = kCounters;
    return made;
  }();
  return *context;
}

absl::Status Synchronize() {
  const cudaError_t error = cudaDeviceSynchronize();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("device: ", cudaGetErrorString(error)));
}

}  // namespace skein
