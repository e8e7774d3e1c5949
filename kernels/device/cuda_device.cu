#include <cstdint>

#include <cuda_runtime.h>

#include "common/base/status_macros.h"
#include "kernels/device/cuda_context.h"
#include "kernels/device/cuda_error.h"
#include "kernels/device/device.h"

namespace skein {
namespace {

constexpr int64_t kCounters = int64_t{1} << 18;
constexpr int kOldestCapability = 80;

class CudaDevice : public Device {
 public:
  ~CudaDevice() override {
    cudaFree(context_.workspace);
    cudaFree(context_.counters);
    if (context_.stream != nullptr) cudaStreamDestroy(context_.stream);
  }

  absl::Status Open(const CudaOptions& options) {
    cudaDeviceProp properties;
    RETURN_IF_ERROR(CudaStatus("cudaGetDeviceProperties",
                               cudaGetDeviceProperties(&properties, options.device)));
    name_ = properties.name;
    context_.device = options.device;
    context_.sm_count = properties.multiProcessorCount;
    context_.compute_capability = 10 * properties.major + properties.minor;
    if (context_.compute_capability < kOldestCapability) {
      return absl::UnavailableError(absl::StrCat(name_, " has compute capability ",
                                                 properties.major, ".", properties.minor,
                                                 ", expected 8.0 or newer"));
    }
    context_.batch_invariant = options.batch_invariant;
    context_.dependent_launch = options.dependent_launch;
    RETURN_IF_ERROR(CudaStatus("cudaSetDevice", cudaSetDevice(options.device)));
    RETURN_IF_ERROR(CudaStatus("cudaStreamCreate",
                               cudaStreamCreateWithFlags(&context_.stream, cudaStreamNonBlocking)));
    RETURN_IF_ERROR(
        CudaStatus("workspace", cudaMalloc(&context_.workspace, options.workspace_bytes)));
    context_.workspace_bytes = options.workspace_bytes;
    RETURN_IF_ERROR(
        CudaStatus("counters", cudaMalloc(&context_.counters, kCounters * sizeof(uint32_t))));
    context_.num_counters = kCounters;
    return CudaStatus("counters", cudaMemset(context_.counters, 0, kCounters * sizeof(uint32_t)));
  }

  Stream stream() override { return Stream(context_); }
  std::string name() const override { return name_; }
  size_t free_bytes() const override {
    size_t free = 0, total = 0;
    return cudaMemGetInfo(&free, &total) == cudaSuccess ? free : 0;
  }

 private:
  CudaContext context_;
  std::string name_;
};

}  // namespace

absl::Status ProbeCuda() {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return absl::OkStatus();
  static_cast<void>(cudaGetLastError());
  return absl::UnavailableError(
      absl::StrCat("no GPU: ", error == cudaSuccess ? "none found" : cudaGetErrorString(error)));
}

absl::StatusOr<std::unique_ptr<Device>> CreateCudaDevice(const CudaOptions& options) {
  RETURN_IF_ERROR(ProbeCuda());
  int count = 0;
  RETURN_IF_ERROR(CudaStatus("cudaGetDeviceCount", cudaGetDeviceCount(&count)));
  if (options.device < 0 || options.device >= count) {
    return absl::UnavailableError(
        absl::StrCat("no GPU ", options.device, ": the machine has ", count));
  }
  auto device = std::make_unique<CudaDevice>();
  RETURN_IF_ERROR(device->Open(options));
  return std::unique_ptr<Device>(std::move(device));
}

}  // namespace skein
