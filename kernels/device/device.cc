#include "kernels/device/device.h"

#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace skein {
namespace {

class CpuDevice : public Device {
 public:
  explicit CpuDevice(int num_threads) : threads_(num_threads) {}
  Stream stream() override { return Stream(threads_); }
  std::string name() const override { return absl::StrCat(threads_.num_threads(), " threads"); }
  size_t free_bytes() const override { return std::numeric_limits<size_t>::max(); }

 private:
  ParallelFor threads_;
};

}  // namespace

std::unique_ptr<Device> Device::Cpu(int num_threads) {
  return std::make_unique<CpuDevice>(num_threads);
}

#if !SKEIN_CUDA
absl::Status ProbeCuda() { return absl::UnavailableError("this build has no CUDA"); }

absl::StatusOr<std::unique_ptr<Device>> CreateCudaDevice(const CudaOptions&) { return ProbeCuda(); }
#endif

}  // namespace skein
