// Writes a safetensors file piece by piece, so that it can be larger than memory.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace skein::eval {

struct TensorHeader {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;

  int64_t bytes() const { return NumElements(shape) * DTypeBytes(dtype); }
};

// Calls follow: Create Append* Finish. The file has another name until Finish, so that no half of a
// model is taken for one. Errors of the file system are Unavailable and name the path.
class SafetensorsWriter {
 public:
  static absl::StatusOr<std::unique_ptr<SafetensorsWriter>> Create(
      const std::string& path, const std::vector<TensorHeader>& tensors);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  // The next bytes of the tensors' data, one tensor after the other in their order.
  absl::Status Append(const void* data, size_t bytes);
  // All bytes must have come.
  absl::Status Finish();

 private:
  SafetensorsWriter(std::string path, int64_t data_bytes);

  std::string path_;
  std::string partial_path_;
  std::ofstream out_;
  int64_t missing_bytes_;
  bool finished_ = false;
};

// Writes a small file under a temporary name and renames it.
absl::Status WriteTextFile(const std::string& path, const std::string& text);

}  // namespace skein::eval
