// What a model computes on, and who owns it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "kernels/device/stream.h"

namespace skein {

// Owns the compute threads of the CPU backend, or the stream and the workspace of a GPU. One model
// uses it, from one thread at a time.
class Device {
 public:
  virtual ~Device() = default;
  virtual Stream stream() = 0;
  // For messages: "8 threads" or "NVIDIA H100 80GB HBM3".
  virtual std::string name() const = 0;
  // Bytes that can still be allocated where the stream computes; what the host has is not asked.
  virtual size_t free_bytes() const = 0;

  // 0 threads: one per core.
  static std::unique_ptr<Device> Cpu(int num_threads);
};

struct CudaOptions {
  int device = 0;
  size_t workspace_bytes = size_t{384} << 20;
  bool batch_invariant = false;
  bool dependent_launch = true;
};
// Unavailable, with the reason, where CreateCudaDevice cannot succeed.
absl::Status ProbeCuda();
// Unavailable, with the reason, where there is no GPU, no driver or no CUDA in this build.
// ResourceExhausted if the workspace cannot be had.
absl::StatusOr<std::unique_ptr<Device>> CreateCudaDevice(const CudaOptions& options);

}  // namespace skein
