// A checkpoint's tensor in another type than the file has.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// The elements of `entry`, row-major, as fp32, bf16 or fp16: each rounded once, to the nearest.
// InvalidArgument for integer types; DataLoss, without the tensor's name, for a value that `dtype`
// cannot hold.
absl::StatusOr<std::vector<std::byte>> ConvertTensor(const TensorEntry& entry, DType dtype);

// `entry` as it would be if its elements lay row-major at `data`.
TensorEntry EntryAt(const TensorEntry& entry, DType dtype, const std::byte* data);

}  // namespace skein
