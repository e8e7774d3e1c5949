// Activation memory, claimed once at load and shared by all layers.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "common/base/check.h"
#include "common/tensor/dtype.h"
#include "common/tensor/tensor_view.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/arena.h"
#include "worker/layers/step_types.h"

namespace skein {

// Room for `max_rows` rows of some width; the arena of the BufferPlan owns the memory.
class Buffer {
 public:
  // [rows, cols]; the width may be less than planned, as low-rank widths are in some layers.
  ActivationView View(int64_t rows, int64_t cols, DType dtype) const {
    SKEIN_CHECK(rows * cols * DTypeBytes(dtype) <= bytes_);
    return {data_, dtype, {rows, cols}};
  }
  TensorView<float> Floats(int64_t rows, int64_t cols) const {
    SKEIN_CHECK(rows * cols * static_cast<int64_t>(sizeof(float)) <= bytes_);
    return {static_cast<float*>(data_), {rows, cols}};
  }

 private:
  friend class BufferPlan;
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

// Calls follow: Add* bytes Allocate. The buffers must stay where they are until then.
class BufferPlan {
 public:
  BufferPlan(int64_t max_rows, const StepTypes& types) : max_rows_(max_rows), types_(types) {}

  // fp32, for the residual stream and workspace.
  void AddFloats(int64_t cols, Buffer* buffer) { Add(max_rows_ * cols, DType::kF32, buffer); }
  // What products read, and what they write.
  void AddOperand(int64_t cols, Buffer* buffer) { Add(max_rows_ * cols, types_.operand, buffer); }
  void AddResult(int64_t cols, Buffer* buffer);
  int64_t bytes() const;
  // ResourceExhausted if the arena is smaller than bytes().
  absl::Status Allocate(Arena& arena);

 private:
  void Add(int64_t elements, DType dtype, Buffer* buffer) {
    wanted_.emplace_back(elements * DTypeBytes(dtype), buffer);
  }

  int64_t max_rows_;
  StepTypes types_;
  std::vector<std::pair<int64_t, Buffer*>> wanted_;  // bytes
};

}  // namespace skein
