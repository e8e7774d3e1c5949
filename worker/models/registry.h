// The architectures that skein knows, and the choice among them for a checkpoint.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/stream.h"
#include "worker/models/model.h"
#include "worker/weights/model_files.h"
#include "worker/weights/weight_loader.h"

namespace skein {

// What a model will take where it computes, in bytes.
struct ModelMemory {
  int64_t weight_bytes = 0;
  int64_t activation_bytes = 0;
  int64_t state_bytes = 0;         // of one sequence
  int64_t kv_bytes_per_token = 0;  // 0 without attention layers
  int64_t vocab_size = 0;          // a number
};

struct ModelLoadOptions {
  int64_t max_rows = 512;  // of one step; sizes the activation arena
  // Of the WKV states on CUDA: kF32 or kF16. The CPU has fp32 alone.
  DType state_dtype = DType::kF32;
  WeightChanges weights;
  // For checkpoints that do not hold them (.pth hybrids); otherwise the file wins.
  std::optional<float> rope_theta;
  std::optional<float> rms_norm_eps;
  // Called before the first allocation; an error ends the load. May be empty.
  std::function<absl::Status(const ModelMemory&)> admit;
  // Called from the loading thread as weights arrive.
  std::function<void(int64_t bytes_done, int64_t bytes_total)> progress;
};

// Chooses the architecture by tensor names and config, and loads it for `stream`. Unimplemented,
// naming the variant, for architectures that skein does not run; DataLoss for a checkpoint whose
// tensors do not fit together, with every difference in the message. `files` is not needed
// afterwards.
absl::StatusOr<std::unique_ptr<Model>> LoadModel(const ModelFiles& files,
                                                 const ModelLoadOptions& options,
                                                 const Stream& stream);

}  // namespace skein
