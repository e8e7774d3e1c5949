// Hybrids of RWKV-7 style layers and grouped-query attention (dense hxa079). Equations:
// docs/models/hybrid.md.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "kernels/device/stream.h"
#include "worker/models/model.h"
#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein::hybrid {

bool Matches(const ModelFiles& files);
// Errors as those of LoadModel.
absl::StatusOr<std::unique_ptr<Model>> Load(const ModelFiles& files,
                                            const ModelLoadOptions& options, const Stream& stream);

}  // namespace skein::hybrid
