#include "kernels/device/memory.h"

#include <cstring>

#include "kernels/device/cuda_memory.h"

namespace skein {

#if SKEIN_CUDA
#define SKEIN_ON_CUDA(call) return call
#else
#define SKEIN_ON_CUDA(call) return absl::InternalError("a CUDA stream in a build without CUDA")
#endif

absl::StatusOr<std::unique_ptr<Arena>> CreateArena(const Stream& stream, size_t bytes) {
  if (stream.on_cpu()) return Arena::Create(bytes);
  SKEIN_ON_CUDA(cuda::CreateDeviceArena(bytes));
}

absl::StatusOr<std::unique_ptr<Arena>> CreateStaging(const Stream& stream, size_t bytes) {
  if (stream.on_cpu()) return Arena::Create(bytes);
  SKEIN_ON_CUDA(cuda::CreatePinnedArena(bytes));
}

absl::StatusOr<std::unique_ptr<Arena>> Upload(const Stream& stream, std::unique_ptr<Arena> host) {
  if (stream.on_cpu()) return host;
  SKEIN_ON_CUDA(cuda::Upload(stream.cuda(), *host));
}

absl::Status Copy(const Stream& stream, void* to, const void* from, size_t bytes) {
  if (bytes == 0) return absl::OkStatus();
  if (stream.on_cpu()) {
    std::memcpy(to, from, bytes);
    return absl::OkStatus();
  }
  SKEIN_ON_CUDA(cuda::Copy(stream.cuda(), to, from, bytes));
}

absl::Status Zero(const Stream& stream, void* to, size_t bytes) {
  if (stream.on_cpu()) {
    std::memset(to, 0, bytes);
    return absl::OkStatus();
  }
  SKEIN_ON_CUDA(cuda::Zero(stream.cuda(), to, bytes));
}

absl::Status Synchronize(const Stream& stream) {
  if (stream.on_cpu()) return absl::OkStatus();
  SKEIN_ON_CUDA(cuda::Synchronize(stream.cuda()));
}

absl::StatusOr<std::unique_ptr<Graph>> Capture(
    const Stream& stream, [[maybe_unused]] absl::FunctionRef<absl::Status()> enqueue) {
  if (stream.on_cpu()) return absl::InternalError("graphs are for CUDA streams");
  SKEIN_ON_CUDA(cuda::Capture(stream.cuda(), enqueue));
}

}  // namespace skein
