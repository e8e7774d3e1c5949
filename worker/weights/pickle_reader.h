// What a torch checkpoint's data.pkl describes: names, and how tensors lie in storages.
// docs/formats.md, "torch .pth".
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace skein {

// Nothing here has been checked against the archive yet. Offset, sizes and strides count elements;
// texts point into the pickle.
struct PickledTensor {
  absl::string_view name;
  absl::string_view storage_key;
  DType dtype = DType::kF32;
  int64_t storage_elements = 0;
  int64_t offset = 0;
  Shape sizes;
  Shape strides;
};

// Interprets the few opcodes and names that torch writes for a dictionary of tensors; it calls and
// constructs nothing else. DataLoss that names the opcode or global and its byte for all other
// input, and for input that would need more than fixed limits on size, values, memo and nesting.
absl::StatusOr<std::vector<PickledTensor>> ReadPickle(std::span<const std::byte> pickle);

}  // namespace skein
