// One allocation, sliced at load time: weights, activations and workspace live in arenas.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "common/tensor/shape.h"
#include "common/tensor/tensor_view.h"

namespace skein {

// Host memory, or that of a GPU (memory.h). Not thread-safe; slices live as long as the arena and
// are not zeroed.
class Arena {
 public:
  static constexpr size_t kAlignment = 256;

  using Release = void (*)(void* data, size_t bytes);

  // Host memory. ResourceExhausted if it cannot be had.
  static absl::StatusOr<std::unique_ptr<Arena>> Create(size_t bytes);
  // Takes memory that was allocated elsewhere, aligned to kAlignment.
  static std::unique_ptr<Arena> Own(void* data, size_t bytes, Release release) {
    return std::unique_ptr<Arena>(new Arena(data, bytes, release));
  }
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Aligned to kAlignment. ResourceExhausted if the arena is full: its size was planned wrongly.
  absl::StatusOr<void*> Allocate(size_t bytes);

  template <typename T>
  absl::StatusOr<TensorView<T>> AllocateTensor(const Shape& shape) {
    absl::StatusOr<void*> data = Allocate(NumElements(shape) * sizeof(T));
    if (!data.ok()) return data.status();
    return TensorView<T>(static_cast<T*>(*data), shape);
  }

  // What a request of `bytes` takes from the arena, for planning.
  static size_t Rounded(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  size_t used() const { return used_; }

 private:
  Arena(void* data, size_t bytes, Release release)
      : data_(data), bytes_(bytes), release_(release) {}

  void* data_;
  size_t bytes_;
  Release release_;
  size_t used_ = 0;
};

}  // namespace skein
