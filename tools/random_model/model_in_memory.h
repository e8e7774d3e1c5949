// A model of a real shape with random weights that no file holds.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "kernels/device/parallel_for.h"
#include "tools/random_model/shapes.h"
#include "worker/weights/model_files.h"

namespace skein::random_model {

// The tensors that skein-eval make-model writes for the same arguments. `dtype`: kF32, kBF16 or
// kF16. InvalidArgument for a shape that cannot be made, ResourceExhausted without the memory.
absl::StatusOr<std::unique_ptr<ModelFiles>> ModelInMemory(const ModelShape& shape, DType dtype,
                                                          uint64_t seed, ParallelFor& threads);

// Names, types and shapes alone: enough to say what a model would need. No element may be read.
absl::StatusOr<std::unique_ptr<ModelFiles>> ModelOutline(const ModelShape& shape, DType dtype);

}  // namespace skein::random_model
