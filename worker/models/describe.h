// What all architectures say about themselves in the same way.
#pragma once

#include "absl/strings/string_view.h"

#include "kernels/linear/weight_matrix.h"
#include "worker/models/model.h"
#include "worker/weights/weight_loader.h"

namespace skein {

// Architecture, weight format (that of `typical`, one of the large matrices), parameter count and
// fingerprint, after `loader` has loaded. `numbers` are the hyper-parameters that no tensor holds.
ModelDescription Describe(absl::string_view architecture, const WeightLoader& loader,
                          const WeightMatrix& typical, absl::string_view numbers);

}  // namespace skein
