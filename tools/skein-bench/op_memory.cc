#include "tools/skein-bench/op_memory.h"

#include <cmath>
#include <cstring>
#include <utility>

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "tools/random_model/weights.h"
#include "worker/weights/tensor_entry.h"

namespace skein::bench {
namespace {

using random_model::Distribution;

constexpr int64_t kPieceElements = int64_t{1} << 18;

void Convert(DType dtype, const std::vector<float>& values, std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, values.data(), values.size() * sizeof(float));
    return;
  }
  const auto round = dtype == DType::kBF16 ? FloatToBf16 : FloatToFp16;
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t bits = round(values[i]);
    std::memcpy(out + i * sizeof(bits), &bits, sizeof(bits));
  }
}

}  // namespace

void OpMemory::Note(const absl::Status& status) {
  if (status_.ok()) status_ = status;
}

void* OpMemory::Bytes(int64_t bytes) {
  absl::StatusOr<std::unique_ptr<Arena>> arena =
      CreateArena(device_.stream(), Arena::Rounded(static_cast<size_t>(bytes)));
  Note(arena.status());
  if (!arena.ok()) return nullptr;
  absl::StatusOr<void*> data = (*arena)->Allocate(static_cast<size_t>(bytes));
  Note(data.status());
  arenas_.push_back(*std::move(arena));
  allocated_bytes_ += bytes;
  return data.ok() ? *data : nullptr;
}

absl::Status OpMemory::Store(void* to, std::span<const std::byte> bytes) {
  const Stream stream = device_.stream();
  ASSIGN_OR_RETURN(const auto staging, CreateStaging(stream, bytes.size()));
  std::memcpy(staging->data(), bytes.data(), bytes.size());
  RETURN_IF_ERROR(Copy(stream, to, staging->data(), bytes.size()));
  return Synchronize(stream);
}

absl::StatusOr<std::vector<std::byte>> OpMemory::Fetch(const void* data, int64_t bytes) {
  const Stream stream = device_.stream();
  ASSIGN_OR_RETURN(const auto staging, CreateStaging(stream, static_cast<size_t>(bytes)));
  RETURN_IF_ERROR(Copy(stream, staging->data(), data, static_cast<size_t>(bytes)));
  RETURN_IF_ERROR(Synchronize(stream));
  const std::byte* const first = static_cast<const std::byte*>(staging->data());
  return std::vector<std::byte>(first, first + bytes);
}

void* OpMemory::Copied(const void* data, int64_t bytes) {
  void* const to = Bytes(bytes);
  if (to != nullptr) {
    Note(Store(to, {static_cast<const std::byte*>(data), static_cast<size_t>(bytes)}));
  }
  return to;
}

void* OpMemory::Integers(std::span<const int32_t> values) {
  return Copied(values.data(), static_cast<int64_t>(values.size_bytes()));
}

std::vector<std::byte> OpMemory::Made(DType dtype, const Shape& shape, const Distribution& values) {
  const random_model::PlannedTensor tensor{"", shape, values};
  const random_model::RandomWeights random(tensor, dtype, next_seed_++);
  const int64_t count = NumElements(shape), item = DTypeBytes(dtype);
  std::vector<std::byte> bytes(static_cast<size_t>(count * item));
  threads_.Run(count, kPieceElements, [&](int64_t begin, int64_t end) {
    random.Write(begin, end - begin, bytes.data() + begin * item);
  });
  return bytes;
}

void* OpMemory::Random(DType dtype, DType rounding, const Shape& shape, const Distribution& values,
                       const std::function<float(float)>& transform) {
  const std::vector<std::byte> made = Made(rounding, shape, values);
  if (dtype == rounding && transform == nullptr) {
    return Copied(made.data(), static_cast<int64_t>(made.size()));
  }
  std::vector<float> floats(static_cast<size_t>(NumElements(shape)));
  Note(ConvertToFloat(rounding, made.data(), NumElements(shape), floats.data()));
  if (transform != nullptr) {
    for (float& value : floats) value = transform(value);
    std::vector<std::byte> rounded(made.size());
    Convert(rounding, floats, rounded.data());
    Note(ConvertToFloat(rounding, rounded.data(), NumElements(shape), floats.data()));
  }
  std::vector<std::byte> bytes(static_cast<size_t>(NumElements(shape) * DTypeBytes(dtype)));
  Convert(dtype, floats, bytes.data());
  return Copied(bytes.data(), static_cast<int64_t>(bytes.size()));
}

WeightMatrix OpMemory::Matrix(DType dtype, int64_t rows, int64_t cols, bool transposed) {
  const float spread = 1.7320508f / std::sqrt(static_cast<float>(cols));
  std::vector<std::byte> made = Made(dtype, {rows, cols}, {.spread = spread});
  if (transposed) {
    const TensorEntry entry = {
        .dtype = dtype, .shape = {rows, cols}, .strides = {cols, 1}, .data = made.data()};
    std::vector<std::byte> turned(made.size());
    CopyElements(Transposed(entry), turned.data());
    made = std::move(turned);
  }
  return {Copied(made.data(), static_cast<int64_t>(made.size())), dtype, rows, cols, transposed};
}

}  // namespace skein::bench
