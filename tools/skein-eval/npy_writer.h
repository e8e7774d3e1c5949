// Writes a two-dimensional array of float32 in NumPy's .npy format, row by row.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>

#include "absl/status/status.h"

namespace skein::eval {

// Calls follow: Open Append* Close. Errors of the file system are Unavailable and name the path.
class NpyWriter {
 public:
  absl::Status Open(const std::string& path, int64_t rows, int64_t cols);
  absl::Status Append(std::span<const float> row);
  absl::Status Close();

 private:
  absl::Status Check() const;

  std::string path_;
  std::ofstream out_;
};

}  // namespace skein::eval
