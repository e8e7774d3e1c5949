#include "worker/weights/tensor_entry.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace skein {
namespace {

// Rows and columns at any distance; strides count elements.
struct Plane {
  const std::byte* in;
  int64_t rows, cols;
  int64_t row_stride, col_stride;
};

// To dense row-major. Blocks keep the lines of both sides in the cache when the columns are far
// apart in the source, as in a transposition.
template <typename T>
void CopyPlane(const Plane& plane, std::byte* out) {
  constexpr int64_t kBlock = 64;
  constexpr int64_t kSize = sizeof(T);
  for (int64_t row0 = 0; row0 < plane.rows; row0 += kBlock) {
    const int64_t row1 = std::min(row0 + kBlock, plane.rows);
    for (int64_t col0 = 0; col0 < plane.cols; col0 += kBlock) {
      const int64_t col1 = std::min(col0 + kBlock, plane.cols);
      for (int64_t row = row0; row < row1; ++row) {
        const std::byte* from =
            plane.in + (row * plane.row_stride + col0 * plane.col_stride) * kSize;
        std::byte* to = out + (row * plane.cols + col0) * kSize;
        for (int64_t col = col0; col < col1; ++col) {
          std::memcpy(to, from, kSize);
          from += plane.col_stride * kSize;
          to += kSize;
        }
      }
    }
  }
}

void CopyPlaneOfSize(int64_t item_bytes, const Plane& plane, std::byte* out) {
  switch (item_bytes) {
    case 1:
      return CopyPlane<uint8_t>(plane, out);
    case 2:
      return CopyPlane<uint16_t>(plane, out);
    case 4:
      return CopyPlane<uint32_t>(plane, out);
    default:
      return CopyPlane<uint64_t>(plane, out);
  }
}

// Steps `index` through the first `rank` extents, last one fastest. False after the last position.
bool NextIndex(const Shape& shape, int rank, Shape& index) {
  for (int d = rank - 1; d >= 0; --d) {
    if (++index[d] < shape[d]) return true;
    index[d] = 0;
  }
  return false;
}

void CopyStrided(const TensorEntry& entry, std::byte* out) {
  const int rank = static_cast<int>(entry.shape.size());
  const int outer = std::max(rank - 2, 0);
  Plane plane{entry.data, 1, 1, 0, 0};
  if (rank >= 1) {
    plane.cols = entry.shape[rank - 1];
    plane.col_stride = entry.strides[rank - 1];
  }
  if (rank >= 2) {
    plane.rows = entry.shape[rank - 2];
    plane.row_stride = entry.strides[rank - 2];
  }
  const int64_t item_bytes = DTypeBytes(entry.dtype);
  Shape index(rank, 0);
  do {
    int64_t offset = 0;
    for (int d = 0; d < outer; ++d) offset += index[d] * entry.strides[d];
    plane.in = entry.data + offset * item_bytes;
    CopyPlaneOfSize(item_bytes, plane, out);
    out += plane.rows * plane.cols * item_bytes;
  } while (NextIndex(entry.shape, outer, index));
}

template <typename T, typename F>
void ConvertWith(const void* in, int64_t count, float* out, F convert) {
  const std::byte* from = static_cast<const std::byte*>(in);
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    out[i] = convert(value);
  }
}

}  // namespace

absl::StatusOr<int64_t> CheckedElements(const Shape& shape) {
  if (shape.size() > kMaxRank) {
    return absl::DataLossError(
        absl::StrCat("rank ", shape.size(), ", expected at most ", kMaxRank));
  }
  int64_t product = 1;
  bool empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) {
      return absl::DataLossError(
          absl::StrCat("shape ", ShapeString(shape), " has a negative extent"));
    }
    empty = empty || extent == 0;
    if (__builtin_mul_overflow(product, std::max<int64_t>(extent, 1), &product) ||
        product > kMaxElements) {
      return absl::DataLossError(
          absl::StrCat("shape ", ShapeString(shape), " has more than ", kMaxElements, " elements"));
    }
  }
  return empty ? 0 : product;
}

Shape RowMajorStrides(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * std::max<int64_t>(shape[d + 1], 1);
  }
  return strides;
}

bool IsRowMajor(const Shape& shape, const Shape& strides) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return true;
  int64_t expected = 1;
  for (int d = static_cast<int>(shape.size()) - 1; d >= 0; --d) {
    if (shape[d] != 1 && strides[d] != expected) return false;
    expected *= shape[d];
  }
  return true;
}

TensorEntry Transposed(const TensorEntry& entry) {
  const size_t rank = entry.shape.size();
  SKEIN_CHECK(rank >= 2);
  TensorEntry result = entry;
  std::swap(result.shape[rank - 2], result.shape[rank - 1]);
  std::swap(result.strides[rank - 2], result.strides[rank - 1]);
  result.contiguous = IsRowMajor(result.shape, result.strides);
  return result;
}

TensorEntry FirstDimensionRange(const TensorEntry& entry, int64_t begin, int64_t count) {
  SKEIN_CHECK(!entry.shape.empty() && begin >= 0 && count >= 0 && begin + count <= entry.shape[0]);
  TensorEntry range = entry;
  range.shape[0] = count;
  range.data += begin * entry.strides[0] * DTypeBytes(entry.dtype);
  range.contiguous = IsRowMajor(range.shape, range.strides);
  return range;
}

void CopyElements(const TensorEntry& entry, void* out) {
  const int64_t count = NumElements(entry.shape);
  if (count == 0) return;
  if (entry.contiguous) {
    std::memcpy(out, entry.data, count * DTypeBytes(entry.dtype));
  } else {
    CopyStrided(entry, static_cast<std::byte*>(out));
  }
}

absl::Status ConvertToFloat(DType dtype, const void* in, int64_t count, float* out) {
  switch (dtype) {
    case DType::kF32:
      if (count > 0) std::memcpy(out, in, count * sizeof(float));
      return absl::OkStatus();
    case DType::kBF16:
      ConvertWith<uint16_t>(in, count, out, Bf16ToFloat);
      return absl::OkStatus();
    case DType::kF16:
      ConvertWith<uint16_t>(in, count, out, Fp16ToFloat);
      return absl::OkStatus();
    case DType::kF64:
      ConvertWith<double>(in, count, out, [](double value) { return static_cast<float>(value); });
      return absl::OkStatus();
    case DType::kF8E4M3:
    case DType::kF8E5M2:
      return absl::UnimplementedError(
          absl::StrCat("type ", DTypeName(dtype), " cannot be read as a weight"));
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("type ", DTypeName(dtype), ", expected a floating-point type"));
  }
}

}  // namespace skein
