// Activation memory, claimed once at load and shared by all layers.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "common/base/check.h"
#include "common/tensor/tensor_view.h"
#include "kernels/device/arena.h"

namespace skein {

// Room for `max_rows` rows of some width; the arena of the BufferPlan owns the memory.
class Buffer {
 public:
  // [rows, cols]; the width may be less than planned, as low-rank widths are in some layers.
  TensorView<float> View(int64_t rows, int64_t cols) const {
    SKEIN_CHECK(rows * cols <= elements_);
    return TensorView<float>(data_, {rows, cols});
  }

 private:
  friend class BufferPlan;
  float* data_ = nullptr;
  int64_t elements_ = 0;
};

// Calls follow: Add* bytes Allocate. The buffers must stay where they are until then.
class BufferPlan {
 public:
  explicit BufferPlan(int64_t max_rows) : max_rows_(max_rows) {}

  void Add(int64_t cols, Buffer* buffer) { wanted_.emplace_back(max_rows_ * cols, buffer); }
  int64_t bytes() const;
  // ResourceExhausted if the arena is smaller than bytes().
  absl::Status Allocate(Arena& arena);

 private:
  int64_t max_rows_;
  std::vector<std::pair<int64_t, Buffer*>> wanted_;  // elements
};

}  // namespace skein
