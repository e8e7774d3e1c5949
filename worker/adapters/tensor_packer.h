// Brings an adapter's tensors into one piece of memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/tensor_view.h"
#include "kernels/device/arena.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// Declares all tensors with the views to fill, then packs them. The views must stay where they are
// until then. A tensor keeps its type; fp64 becomes fp32. Not thread-safe.
class TensorPacker {
 public:
  // Row-major values, which may be computed from several entries.
  using Values = std::function<absl::Status(std::vector<float>& out)>;

  // `name` is for messages and the hash.
  void Matrix(std::string name, const TensorEntry& entry, WeightMatrix* out);
  // The same for an entry of any rank that is seen as [rows, cols].
  void Matrix(std::string name, const TensorEntry& entry, int64_t rows, int64_t cols,
              WeightMatrix* out);
  void Matrix(std::string name, DType dtype, int64_t rows, int64_t cols, Values values,
              WeightMatrix* out);
  void Tensor(std::string name, const TensorEntry& entry, DType* dtype, const void** out);
  // Memory whose values come later, from elsewhere.
  void Space(int64_t elements, TensorView<const float>* out);

  // DataLoss that names a tensor with a value that is not finite; ResourceExhausted. `hash` takes
  // in names, shapes and values, which are the same for the same values of another type.
  absl::StatusOr<std::unique_ptr<Arena>> Pack(uint64_t* hash);

 private:
  struct Piece {
    std::string name;
    Shape shape;
    DType dtype = DType::kF32;
    Values values;  // empty: only space
    std::function<void(void* data)> place;
  };
  absl::Status Fill(const Piece& piece, void* data, uint64_t* hash) const;

  std::vector<Piece> pieces_;
};

// What a tensor of this type is kept as.
DType PackedType(DType dtype);
absl::Status ReadFloats(const TensorEntry& entry, std::vector<float>& out);

}  // namespace skein
