// The table of endpoints.
#pragma once

#include <vector>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

const std::vector<Route>& Routes();
// Those of them that tell about the process itself.
const std::vector<Route>& ProbeRoutes();

// Has them, and what is none of them, counted from 0.
void ExpectRequests(GatewayMetrics& metrics);

}  // namespace skein
