// A checkpoint's tensor in another type than the file has.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "worker/weights/model_files.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

// The elements of a tensor of `files`, row-major, as fp32, bf16 or fp16: each rounded once, to the
// nearest. InvalidArgument for integer types; DataLoss, without the tensor's name, for a value that
// `dtype` cannot hold.
absl::StatusOr<std::vector<std::byte>> ConvertTensor(const ModelFiles& files,
                                                     const TensorEntry& entry, DType dtype);
// The same of values in memory.
absl::StatusOr<std::vector<std::byte>> RoundedTo(DType dtype, std::span<const float> values);

// `entry` as it would be if its elements lay row-major at `data`.
TensorEntry EntryAt(const TensorEntry& entry, DType dtype, const std::byte* data);

}  // namespace skein
