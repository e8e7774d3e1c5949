// What workers made of one change, for the answer to who asked for it.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "boost/json/array.hpp"

#include "gateway/http/http_types.h"
#include "gateway/rpc/call_all.h"

namespace skein {

// [{"worker", "ok", "error"}], the last for those that did not take it.
boost::json::array WorkersJson(const std::vector<WorkerOutcome>& outcomes);

// ErrorResponse with `workers` beside `error`.
HttpResponse ErrorOfWorkers(const absl::Status& status, const std::vector<WorkerOutcome>& outcomes,
                            absl::string_view request_id);

}  // namespace skein
