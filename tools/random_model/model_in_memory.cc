#include "tools/random_model/model_in_memory.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status_macros.h"
#include "kernels/device/arena.h"
#include "tools/random_model/config.h"
#include "tools/random_model/weights.h"

namespace skein::random_model {
namespace {

constexpr int64_t kPieceElements = int64_t{1} << 18;

absl::StatusOr<std::unique_ptr<ModelFiles>> Files(const ModelShape& shape, DType dtype,
                                                  std::vector<NamedTensor> tensors,
                                                  std::shared_ptr<const void> memory) {
  return ModelFiles::FromMemory(std::move(tensors),
                                shape.hybrid ? ConfigJson(shape, dtype) : std::string(),
                                std::move(memory));
}

TensorEntry EntryOf(const PlannedTensor& tensor, DType dtype, const std::byte* data) {
  return {.dtype = dtype,
          .shape = tensor.shape,
          .strides = RowMajorStrides(tensor.shape),
          .data = data,
          .contiguous = true};
}

size_t BytesOf(const PlannedTensor& tensor, DType dtype) {
  return static_cast<size_t>(NumElements(tensor.shape) * DTypeBytes(dtype));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ModelFiles>> ModelInMemory(const ModelShape& shape, DType dtype,
                                                          uint64_t seed, ParallelFor& threads) {
  RETURN_IF_ERROR(ValidateShape(shape));
  const std::vector<PlannedTensor> plan = PlanTensors(shape);
  size_t bytes = 0;
  for (const PlannedTensor& tensor : plan) bytes += Arena::Rounded(BytesOf(tensor, dtype));
  ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena, Arena::Create(bytes));
  std::vector<NamedTensor> tensors;
  for (const PlannedTensor& tensor : plan) {
    ASSIGN_OR_RETURN(void* const data, arena->Allocate(BytesOf(tensor, dtype)));
    std::byte* const out = static_cast<std::byte*>(data);
    const RandomWeights weights(tensor, dtype, seed);
    threads.Run(NumElements(tensor.shape), kPieceElements, [&](int64_t begin, int64_t end) {
      weights.Write(begin, end - begin, out + begin * DTypeBytes(dtype));
    });
    tensors.push_back({tensor.name, EntryOf(tensor, dtype, out)});
  }
  return Files(shape, dtype, std::move(tensors), std::shared_ptr<const Arena>(std::move(arena)));
}

absl::StatusOr<std::unique_ptr<ModelFiles>> ModelOutline(const ModelShape& shape, DType dtype) {
  RETURN_IF_ERROR(ValidateShape(shape));
  std::vector<NamedTensor> tensors;
  for (const PlannedTensor& tensor : PlanTensors(shape)) {
    tensors.push_back({tensor.name, EntryOf(tensor, dtype, nullptr)});
  }
  return Files(shape, dtype, std::move(tensors), nullptr);
}

}  // namespace skein::random_model
