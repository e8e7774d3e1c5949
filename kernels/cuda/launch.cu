#include <map>
#include <mutex>

#include "kernels/cuda/launch.h"

namespace skein::cuda {
namespace {

// Of 48 KiB, which static shared memory counts towards, too.
constexpr size_t kAllowedAnyway = 40 << 10;

}  // namespace

absl::Status AllowSharedMemory(const void* kernel, size_t bytes) {
  if (bytes <= kAllowedAnyway) return absl::OkStatus();
  int device = 0;
  cudaError_t error = cudaGetDevice(&device);
  if (error == cudaSuccess) {
    static std::mutex mu;
    static auto& allowed = *new std::map<std::pair<const void*, int>, size_t>;  // guarded by mu
    const std::lock_guard<std::mutex> lock(mu);
    size_t& limit = allowed[{kernel, device}];
    if (bytes <= limit) return absl::OkStatus();
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(bytes));
    if (error == cudaSuccess) {
      limit = bytes;
      return absl::OkStatus();
    }
  }
  static_cast<void>(cudaGetLastError());
  return absl::InternalError(
      absl::StrCat("a block with ", bytes, " bytes of shared memory: ", cudaGetErrorString(error)));
}

}  // namespace skein::cuda
