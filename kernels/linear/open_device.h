// A GPU together with its products.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "kernels/device/device.h"

namespace skein {

struct GpuOptions {
  CudaOptions cuda;
  // Where the fastest kernel for each shape of product is kept between runs; empty: nowhere.
  std::string cache_directory;
  bool autotune = true;
};

// As CreateCudaDevice, with products by cublasLt where that library is found. Without it products
// run on our own kernels, which is logged.
absl::StatusOr<std::unique_ptr<Device>> OpenGpu(const GpuOptions& options);

}  // namespace skein
