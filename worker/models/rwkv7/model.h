// RWKV-7 "Goose" (x070). Equations: docs/models/rwkv7.md.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "kernels/device/stream.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein::rwkv7 {

bool Matches(const ModelFiles& files);
// Errors as those of LoadModel.
absl::StatusOr<std::unique_ptr<Model>> Load(const ModelFiles& files,
                                            const ModelLoadOptions& options, const Stream& stream);

}  // namespace skein::rwkv7
