#include <cuda_runtime.h>

#include "common/base/check.h"
#include "tests/kernels/linear/device_array.h"

namespace skein {
namespace {

constexpr int kPoison = 0xff;

std::shared_ptr<void> Allocate(size_t bytes) {
  void* data = nullptr;
  SKEIN_CHECK(cudaMalloc(&data, bytes) == cudaSuccess);
  return {data, cudaFree};
}

}  // namespace

DeviceArray::DeviceArray(size_t bytes) : bytes_(bytes), data_(Allocate(bytes)) { Poison(); }

void DeviceArray::Upload(const void* from) {
  SKEIN_CHECK(cudaMemcpy(data_.get(), from, bytes_, cudaMemcpyHostToDevice) == cudaSuccess);
}

void DeviceArray::Poison() { SKEIN_CHECK(cudaMemset(data_.get(), kPoison, bytes_) == cudaSuccess); }

std::vector<unsigned char> DeviceArray::Download() const {
  std::vector<unsigned char> to(bytes_);
  SKEIN_CHECK(cudaDeviceSynchronize() == cudaSuccess);
  SKEIN_CHECK(cudaMemcpy(to.data(), data_.get(), bytes_, cudaMemcpyDeviceToHost) == cudaSuccess);
  return to;
}

}  // namespace skein
