// Random tensors where an operation computes, the same on every device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "kernels/device/arena.h"
#include "kernels/device/device.h"
#include "kernels/device/parallel_for.h"
#include "kernels/linear/weight_matrix.h"
#include "tools/random_model/shapes.h"

namespace skein::bench {

// Allocates as it is asked and frees everything in the end. The first error stays and is reported
// by status(); until it is asked, pointers may be null. Values depend on the order of the calls
// alone. Not thread-safe.
class OpMemory {
 public:
  // `threads` are the host's.
  OpMemory(Device& device, ParallelFor& threads) : device_(device), threads_(threads) {}

  const absl::Status& status() const { return status_; }
  // Of weights and of what Traffic has counted.
  int64_t allocated_bytes() const { return allocated_bytes_; }

  // Uninitialised.
  void* Bytes(int64_t bytes);
  // Values of the distribution, rounded to fp16 or bf16 where `dtype` is wider, so that devices
  // with different types get the same ones.
  void* Random(DType dtype, DType rounding, const Shape& shape,
               const random_model::Distribution& values,
               const std::function<float(float)>& transform = nullptr);
  // A matrix of a model: keeps the size of what it is applied to.
  WeightMatrix Matrix(DType dtype, int64_t rows, int64_t cols, bool transposed = false);
  void* Integers(std::span<const int32_t> values);
  void* Copied(const void* data, int64_t bytes);
  absl::StatusOr<std::vector<std::byte>> Fetch(const void* data, int64_t bytes);
  absl::Status Store(void* to, std::span<const std::byte> bytes);

 private:
  std::vector<std::byte> Made(DType dtype, const Shape& shape,
                              const random_model::Distribution& values);
  void Note(const absl::Status& status);

  Device& device_;
  ParallelFor& threads_;
  absl::Status status_;
  uint64_t next_seed_ = 1;
  int64_t allocated_bytes_ = 0;
  std::vector<std::unique_ptr<Arena>> arenas_;
};

}  // namespace skein::bench
