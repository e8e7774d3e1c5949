// Counts every answer by route and status, whoever gives it and whenever it ends.
#pragma once

#include <memory>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "gateway/http/http_types.h"
#include "gateway/metrics.h"

namespace skein {

// Answers through `out` and counts once: the status sent; 200 when an event stream is closed; 499
// if the client leaves first; 500 if the answer is dropped. `metrics` and `clock` outlive it.
std::shared_ptr<HttpResponder> CountAnswer(std::shared_ptr<HttpResponder> out,
                                           GatewayMetrics& metrics, const Clock& clock,
                                           std::string route, absl::Time received);

}  // namespace skein
