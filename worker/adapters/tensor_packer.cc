#include "worker/adapters/tensor_packer.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/adapters/plan_problems.h"
#include "worker/weights/content_hash.h"
#include "worker/weights/model_files.h"

namespace skein {
namespace {

void Store(const std::vector<float>& values, DType dtype, void* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  auto* bits = static_cast<uint16_t*>(out);
  for (size_t i = 0; i < values.size(); ++i) {
    bits[i] = dtype == DType::kBF16 ? FloatToBf16(values[i]) : FloatToFp16(values[i]);
  }
}

}  // namespace

DType PackedType(DType dtype) { return dtype == DType::kF64 ? DType::kF32 : dtype; }

absl::Status ReadFloats(const TensorEntry& entry, std::vector<float>& out) {
  out.resize(NumElements(entry.shape));
  return ModelFiles::CopyFloat(entry, out.data());
}

void TensorPacker::Matrix(std::string name, const TensorEntry& entry, WeightMatrix* out) {
  Matrix(std::move(name), entry, entry.shape[0], entry.shape[1], out);
}

void TensorPacker::Matrix(std::string name, const TensorEntry& entry, int64_t rows, int64_t cols,
                          WeightMatrix* out) {
  Matrix(
      std::move(name), PackedType(entry.dtype), rows, cols,
      [entry](std::vector<float>& values) { return ReadFloats(entry, values); }, out);
}

void TensorPacker::Matrix(std::string name, DType dtype, int64_t rows, int64_t cols, Values values,
                          WeightMatrix* out) {
  pieces_.push_back({std::move(name), {rows, cols}, dtype, std::move(values), [=](void* data) {
                       *out = {data, dtype, rows, cols};
                     }});
}

void TensorPacker::Tensor(std::string name, const TensorEntry& entry, DType* dtype,
                          const void** out) {
  *dtype = PackedType(entry.dtype);
  pieces_.push_back({std::move(name), entry.shape, *dtype,
                     [entry](std::vector<float>& values) { return ReadFloats(entry, values); },
                     [out](void* data) { *out = data; }});
}

void TensorPacker::Space(int64_t elements, TensorView<const float>* out) {
  pieces_.push_back({"", {elements}, DType::kF32, {}, [=](void* data) {
                       *out = TensorView<const float>(static_cast<const float*>(data), {elements});
                     }});
}

absl::StatusOr<std::unique_ptr<Arena>> TensorPacker::Pack(uint64_t* hash) {
  size_t bytes = 0;
  for (const Piece& piece : pieces_) {
    bytes += Arena::Rounded(NumElements(piece.shape) * DTypeBytes(piece.dtype));
  }
  ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena, Arena::Create(bytes));
  for (const Piece& piece : pieces_) {
    ASSIGN_OR_RETURN(void* const data,
                     arena->Allocate(NumElements(piece.shape) * DTypeBytes(piece.dtype)));
    RETURN_IF_ERROR(Fill(piece, data, hash));
    piece.place(data);
  }
  return arena;
}

absl::Status TensorPacker::Fill(const Piece& piece, void* data, uint64_t* hash) const {
  if (piece.values == nullptr) return absl::OkStatus();
  std::vector<float> values;
  RETURN_IF_ERROR(piece.values(values));
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    return absl::DataLossError(
        absl::StrCat(PrintableName(piece.name), ": value ", i, " is not finite"));
  }
  *hash = ContentHash(piece.name, *hash);
  *hash = ContentHash(ShapeString(piece.shape), *hash);
  *hash = ContentHash(values.data(), values.size() * sizeof(float), *hash);
  Store(values, piece.dtype, data);
  return absl::OkStatus();
}

}  // namespace skein
