// skein-gateway from its configuration to its end.
#pragma once

#include "skein/config/v1/gateway.pb.h"

namespace skein {

// Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once. `config`
// has its defaults and is checked. Returns the process's exit code. Called once, before any thread
// is started.
int RunGateway(const config::v1::GatewayConfig& config);

}  // namespace skein
