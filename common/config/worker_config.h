// What skein-worker runs with: the configuration with its defaults filled in, and checked.
#pragma once

#include <string>

#include "absl/status/status.h"

#include "skein/config/v1/worker.pb.h"

namespace skein {

// Sets every field that was left out to the default that its comment in the .proto gives.
// `has_cuda` says what `device: auto` becomes and which default max_sequences has. Leaves
// model.path alone, which has no default.
void FillDefaults(config::v1::WorkerConfig& config, bool has_cuda);

// OK for what a model may be called: 1 to 256 bytes without control characters or blanks at the
// ends, and not what health checks call something else.
absl::Status CheckModelName(const std::string& name);

// For a configuration with its defaults filled in. InvalidArgument that starts with the field's
// name, such as "engine.page_tokens: 3, expected a power of two from 1 to 1024". Without `has_cuda`
// the only device is the CPU.
absl::Status Validate(const config::v1::WorkerConfig& config, bool has_cuda);

}  // namespace skein
