#include "worker/adapters/base_tensors.h"

#include "absl/strings/str_cat.h"

#include "worker/adapters/adapter_name.h"

namespace skein {

CheckpointTensors::CheckpointTensors(const ModelFiles& files) : files_(files) {
  for (const auto& [name, entry] : files.tensors()) tensors_.emplace(NativeName(name), &entry);
}

const Shape* CheckpointTensors::Find(absl::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second->shape;
}

absl::Status CheckpointTensors::Read(absl::string_view name, int64_t begin, int64_t count,
                                     float* out) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) {
    return absl::NotFoundError(absl::StrCat("the model has no tensor \"", name, "\""));
  }
  return files_.ReadFloat(FirstDimensionRange(*found->second, begin, count), out);
}

}  // namespace skein
