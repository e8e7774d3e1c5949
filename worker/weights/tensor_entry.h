// One tensor of a checkpoint: where its elements lie, and how to get them out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace skein {

// One tensor of a file. `strides` count elements; they are row-major except in .pth views.
struct TensorEntry {
  DType dtype = DType::kF32;
  Shape shape;
  Shape strides;
  const std::byte* data = nullptr;  // element [0, ...], anywhere: no alignment is promised
  bool contiguous = true;           // row-major without gaps, extents of 1 ignored
};

struct NamedTensor {
  std::string name;
  TensorEntry entry;
};

// Limits on what a file may claim. Products of extents beyond it would overflow somewhere.
inline constexpr int kMaxRank = 8;
inline constexpr int64_t kMaxElements = int64_t{1} << 36;

// The number of elements. DataLoss, starting with what is wrong, if the rank is above kMaxRank, an
// extent is negative or the product is above kMaxElements, extents of 0 counted as 1: then strides
// can be computed safely too.
absl::StatusOr<int64_t> CheckedElements(const Shape& shape);

Shape RowMajorStrides(const Shape& shape);
// Whether `strides` walk `shape` row-major without gaps. Strides of extents of 1 do not matter.
bool IsRowMajor(const Shape& shape, const Shape& strides);

// The same tensor with its last two dimensions exchanged. Rank 2 or more.
TensorEntry Transposed(const TensorEntry& entry);

// The part of a tensor that holds indices [begin, begin + count) of its first dimension.
TensorEntry FirstDimensionRange(const TensorEntry& entry, int64_t begin, int64_t count);

// Copies the elements row-major, in the entry's own dtype, to `out` (NumElements * DTypeBytes
// bytes).
void CopyElements(const TensorEntry& entry, void* out);

// `count` elements of `dtype` at `in`, any alignment, to fp32. InvalidArgument for integers,
// Unimplemented for 8-bit floats.
absl::Status ConvertToFloat(DType dtype, const void* in, int64_t count, float* out);

}  // namespace skein
