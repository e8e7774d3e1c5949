// Recognises architectures that skein does not run, so that a user learns what the file is.
#pragma once

#include "absl/status/status.h"

#include "worker/weights/model_files.h"

namespace skein {

// Unimplemented, naming the variant, for checkpoints of a known relative of the supported
// architectures; OK for all others, which need not be supported for that.
absl::Status RefuseKnownVariants(const ModelFiles& files);

}  // namespace skein
