#include <map>
#include <mutex>

#include "kernels/cuda/launch.h"

namespace skein::cuda {
namespace {

cudaError_t Prepare(const void* kernel, size_t bytes) {
  const cudaError_t error = cudaFuncSetAttribute(
      kernel, cudaFuncAttributePreferredSharedMemoryCarveout, cudaSharedmemCarveoutMaxShared);
  if (error != cudaSuccess || bytes == 0) return error;
  return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(bytes));
}

}  // namespace

absl::Status AllowSharedMemory(const void* kernel, size_t shared_bytes) {
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    static std::mutex mu;
    static auto& prepared =
        *new std::map<std::pair<const void*, int>, size_t>;  // guarded by mu: bytes allowed
    const std::lock_guard<std::mutex> lock(mu);
    const auto [found, is_new] = prepared.try_emplace({kernel, device}, 0);
    if (!is_new && shared_bytes <= found->second) return absl::OkStatus();
    error = Prepare(kernel, shared_bytes);
    if (error == cudaSuccess) {
      found->second = shared_bytes;
      return absl::OkStatus();
    }
    prepared.erase(found);
  }
  static_cast<void>(cudaGetLastError());
  return absl::InternalError(absl::StrCat("a block with ", shared_bytes,
                                          " bytes of shared memory: ", cudaGetErrorString(error)));
}

}  // namespace skein::cuda
