// Tensors of a golden file, by name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/tensor/shape.h"
#include "worker/weights/model_files.h"

namespace skein {

// Aborts on errors: golden files are ours.
class GoldenTensors {
 public:
  explicit GoldenTensors(const std::string& path);

  bool Has(const std::string& name) const { return files_->Find(name) != nullptr; }
  Shape ShapeOf(const std::string& name) const;
  std::vector<float> Floats(const std::string& name) const;
  std::vector<int32_t> Ints(const std::string& name) const;  // of dtype I32

 private:
  const TensorEntry& Entry(const std::string& name) const;

  std::unique_ptr<ModelFiles> files_;
};

}  // namespace skein
