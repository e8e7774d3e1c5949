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

absl::Status Synchronize() {
  const cudaError_t error = cudaDeviceSynchronize();
  if (error == cudaSuccess) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("device: ", cudaGetErrorString(error)));
}

}  // namespace skein
