// Writes a model of a real shape with random weights and a synthetic vocabulary: for load tests and
// benchmarks, where speed and memory matter and what the model says does not.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

#include "common/tensor/dtype.h"
#include "tools/random_model/shapes.h"

namespace skein::eval {

struct MakeModelOptions {
  random_model::ModelShape shape;
  std::string folder;                      // made if it is not there
  DType dtype = DType::kBF16;              // kF32, kBF16 or kF16
  uint64_t seed = 0;                       // the same seed gives the same bytes
  int64_t max_file_bytes = 5'000'000'000;  // larger models become several files with an index
  std::function<void(int64_t bytes_done, int64_t bytes_total)> progress;  // may be empty
};

// InvalidArgument for a shape that cannot be made, AlreadyExists if the folder is not empty,
// Unavailable if a file cannot be written.
absl::Status MakeModel(const MakeModelOptions& options);

}  // namespace skein::eval
