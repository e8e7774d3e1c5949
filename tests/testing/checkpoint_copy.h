// Writes small checkpoints for tests: copies of golden ones with changes, or tensors of zeros by
// name and shape.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/tensor/shape.h"
#include "worker/weights/model_files.h"

namespace skein {

// Tensors in fp32, to be changed at will and written as a folder with model.safetensors and
// config.json.
class CheckpointCopy {
 public:
  struct Tensor {
    Shape shape;
    std::vector<float> values;
  };

  CheckpointCopy() = default;
  // Every tensor of `files`, and its config; aborts on errors.
  explicit CheckpointCopy(const ModelFiles& files);

  std::map<std::string, Tensor>& tensors() { return tensors_; }
  std::string& config() { return config_; }
  void AddZeros(const std::string& name, const Shape& shape);
  // Moves a tensor to another name.
  void Rename(const std::string& from, const std::string& to);
  // A two-dimensional tensor, in place.
  void Transpose(const std::string& name);

  // A new folder below the test's temporary directory; its path.
  std::string Write(const std::string& name) const;

 private:
  std::map<std::string, Tensor> tensors_;
  std::string config_;
};

}  // namespace skein
