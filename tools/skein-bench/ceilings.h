// What memory and arithmetic of the machine reach in plain loops and products.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "kernels/device/cuda_context.h"
#include "kernels/device/device.h"
#include "kernels/device/parallel_for.h"
#include "tools/skein-bench/model_cost.h"

namespace skein::bench {

struct MeasuredCeilings {
  double read_bytes_per_second = 0;
  double copy_bytes_per_second = 0;  // reading and writing together
  double flops_per_second = 0;       // of a large product
  int64_t product_rows = 0, product_width = 0;
  bool product_ok = false;  // some of its results were computed again in double precision

  Ceilings For() const { return {copy_bytes_per_second, flops_per_second}; }
};

// Where the device computes. Takes about a second. ResourceExhausted without the memory: 0.5 GB on
// the CPU, 2 GiB on a GPU.
absl::StatusOr<MeasuredCeilings> MeasureCeilings(DType weights, Device& device);

// Its two halves.
absl::StatusOr<MeasuredCeilings> MeasureCpuCeilings(DType weights, ParallelFor& threads);
absl::StatusOr<MeasuredCeilings> MeasureCudaCeilings(DType weights, CudaContext& context);

}  // namespace skein::bench
