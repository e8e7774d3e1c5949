// The way of a tensor's bytes to where the model computes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"

namespace skein {

// On the CPU the bytes are produced where they stay. On CUDA they pass through two pinned buffers,
// one of which is filled while the other is on its way.
class WeightUpload {
 public:
  static absl::StatusOr<std::unique_ptr<WeightUpload>> Create(const Stream& stream);

  // `fill(out, begin, end)` writes bytes [begin, end) of the tensor to `out`, piece by piece in
  // order; pieces are multiples of 64 bytes long but for the last.
  absl::Status Pieces(
      void* to, int64_t bytes,
      absl::FunctionRef<absl::Status(std::byte* out, int64_t begin, int64_t end)> fill);
  // `make` writes the whole tensor to host memory; `seen` is then shown it.
  absl::Status Whole(void* to, int64_t bytes, absl::FunctionRef<absl::Status(std::byte*)> make,
                     absl::FunctionRef<void(const std::byte*)> seen);
  // Returns when everything has arrived.
  absl::Status Finish();

 private:
  explicit WeightUpload(const Stream& stream) : stream_(stream) {}

  const Stream stream_;
  std::unique_ptr<Arena> staging_[2];
  int next_ = 0;
};

}  // namespace skein
