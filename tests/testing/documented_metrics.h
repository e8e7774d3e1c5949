// The metrics that docs/operations.md lists, to be compared with those that a process has.
#pragma once

#include <set>
#include <string>

#include "common/metrics/metrics.h"

namespace skein {

// Names in backquotes in docs/operations.md that start with `prefix`, labels cut off.
std::set<std::string> DocumentedMetrics(const std::string& prefix);
std::set<std::string> RegisteredMetrics(const MetricsRegistry& registry);

}  // namespace skein
