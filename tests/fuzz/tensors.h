// What holds for the tensors of every checkpoint that was accepted.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "worker/weights/tensor_entry.h"

namespace skein::fuzz {

// Each element lies inside `file`; all of them can be copied and converted.
void CheckTensors(const std::vector<NamedTensor>& tensors, std::span<const std::byte> file);
// Written as safetensors and read again they are the same.
void CheckRewritten(const std::vector<NamedTensor>& tensors);

}  // namespace skein::fuzz
