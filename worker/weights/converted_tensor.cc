#include "worker/weights/converted_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr int64_t kChunkElements = int64_t{1} << 20;

absl::Status Round(std::span<const float> values, DType dtype, std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, values.data(), values.size_bytes());
    return absl::OkStatus();
  }
  auto* bits = reinterpret_cast<uint16_t*>(out);
  const bool half = dtype == DType::kF16;
  for (size_t i = 0; i < values.size(); ++i) {
    bits[i] = half ? FloatToFp16(values[i]) : FloatToBf16(values[i]);
    const float rounded = half ? Fp16ToFloat(bits[i]) : Bf16ToFloat(bits[i]);
    if (std::isfinite(rounded) || !std::isfinite(values[i])) continue;
    return absl::DataLossError(
        absl::StrCat("value ", values[i], " is beyond what ", DTypeName(dtype), " can hold"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<std::byte>> RoundedTo(DType dtype, std::span<const float> values) {
  std::vector<std::byte> rounded(values.size() * DTypeBytes(dtype));
  RETURN_IF_ERROR(Round(values, dtype, rounded.data()));
  return rounded;
}

absl::StatusOr<std::vector<std::byte>> ConvertTensor(const ModelFiles& files,
                                                     const TensorEntry& entry, DType dtype) {
  const int64_t elements = NumElements(entry.shape);
  std::vector<std::byte> converted(elements * DTypeBytes(dtype));
  if (elements == 0) return converted;
  const int64_t rows = entry.shape.empty() ? 1 : entry.shape[0];
  const int64_t row_elements = elements / rows;
  const int64_t chunk = std::clamp<int64_t>(kChunkElements / row_elements, 1, rows);
  std::vector<float> values(chunk * row_elements);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t count = std::min(chunk, rows - begin);
    const TensorEntry part = entry.shape.empty() ? entry : FirstDimensionRange(entry, begin, count);
    RETURN_IF_ERROR(files.ReadFloat(part, values.data()));
    RETURN_IF_ERROR(Round({values.data(), static_cast<size_t>(count * row_elements)}, dtype,
                          converted.data() + begin * row_elements * DTypeBytes(dtype)));
  }
  return converted;
}

TensorEntry EntryAt(const TensorEntry& entry, DType dtype, const std::byte* data) {
  TensorEntry moved = entry;
  moved.dtype = dtype;
  moved.strides = RowMajorStrides(entry.shape);
  moved.data = data;
  moved.contiguous = true;
  return moved;
}

}  // namespace skein
