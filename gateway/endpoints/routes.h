// The table of endpoints.
#pragma once

#include <vector>

#include "gateway/endpoints/gateway_context.h"

namespace skein {

const std::vector<Route>& Routes();

}  // namespace skein
