#include "tests/testing/safetensors.h"

#include "common/base/check.h"

namespace skein {

GoldenTensors::GoldenTensors(const std::string& path) {
  auto files = ModelFiles::Open(path);
  SKEIN_CHECK(files.ok());
  files_ = std::move(*files);
}

const TensorEntry& GoldenTensors::Entry(const std::string& name) const {
  const TensorEntry* entry = files_->Find(name);
  SKEIN_CHECK(entry != nullptr);
  return *entry;
}

Shape GoldenTensors::ShapeOf(const std::string& name) const { return Entry(name).shape; }

std::vector<float> GoldenTensors::Floats(const std::string& name) const {
  const TensorEntry& entry = Entry(name);
  std::vector<float> values(NumElements(entry.shape));
  SKEIN_CHECK(ModelFiles::CopyFloat(entry, values.data()).ok());
  return values;
}

std::vector<int32_t> GoldenTensors::Ints(const std::string& name) const {
  const TensorEntry& entry = Entry(name);
  SKEIN_CHECK(entry.dtype == DType::kI32);
  std::vector<int32_t> values(NumElements(entry.shape));
  ModelFiles::CopyRaw(entry, values.data());
  return values;
}

}  // namespace skein
