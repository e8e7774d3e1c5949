// What skein-gateway runs with: the configuration with its defaults filled in, and checked.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "skein/config/v1/gateway.pb.h"

namespace skein {

// Sets every field that was left out to the default that its comment in the .proto gives.
// `num_cores` decides the number of threads.
void FillDefaults(config::v1::GatewayConfig& config, uint32_t num_cores);

// For a configuration with its defaults filled in. InvalidArgument that starts with the field's
// name, such as "limits.max_choices: 1000, expected 1 to 128".
absl::Status Validate(const config::v1::GatewayConfig& config);

}  // namespace skein
