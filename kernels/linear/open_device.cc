#include "kernels/linear/open_device.h"

#include <string>
#include <utility>

#include "common/base/log.h"
#include "common/base/status_macros.h"
#if SKEIN_CUDA
#include "kernels/device/cuda_context.h"
#include "kernels/linear/matmul.h"
#endif

namespace skein {
namespace {

#if SKEIN_CUDA
// The products must go before the stream that they ran on.
class Gpu : public Device {
 public:
  Gpu(std::unique_ptr<Device> device, std::unique_ptr<Matmul> matmul)
      : device_(std::move(device)), matmul_(std::move(matmul)) {
    device_->stream().cuda().matmul = matmul_.get();
  }
  Stream stream() override { return device_->stream(); }
  std::string name() const override { return device_->name(); }
  size_t free_bytes() const override { return device_->free_bytes(); }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<Matmul> matmul_;
};
#endif

}  // namespace

absl::StatusOr<std::unique_ptr<Device>> OpenGpu(const GpuOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<Device> device, CreateCudaDevice(options.cuda));
#if SKEIN_CUDA
  absl::StatusOr<std::unique_ptr<Matmul>> matmul =
      Matmul::Create({.cache_directory = options.cache_directory, .autotune = options.autotune});
  if (matmul.ok()) return std::make_unique<Gpu>(std::move(device), *std::move(matmul));
  LogWarning("products without cublasLt", {{"reason", std::string(matmul.status().message())}});
#endif
  return device;
}

}  // namespace skein
