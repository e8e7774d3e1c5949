// Small checkpoints for tests, right or wrong in one place.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"

namespace skein {

// A folder that vanishes with its content.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  std::string File(absl::string_view name) const;  // its path
  // Writes the file, in folders that may be new, and returns its path.
  std::string Write(absl::string_view name, absl::string_view content) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct TestTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  std::string bytes;
};

// `values` rounded to `dtype`, which is fp32, bf16, fp16 or fp64.
TestTensor MakeTestTensor(std::string name, DType dtype, Shape shape,
                          const std::vector<float>& values);

// The content of files.
std::string SafetensorsBytes(const std::vector<TestTensor>& tensors);
std::string SafetensorsBytes(absl::string_view header_json, absl::string_view data);
// Entries stored one after the other, with their sizes in the directory alone, as torch writes
// them.
std::string ZipBytes(const std::vector<std::pair<std::string, std::string>>& entries);
// A .pth whose data.pkl is `pickle`, with one storage "0" of `storage`.
std::string PthBytes(absl::string_view pickle, absl::string_view storage);

}  // namespace skein
