#include "gateway/endpoints/worker_outcomes.h"

#include <utility>

#include "boost/json/object.hpp"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

#include "gateway/endpoints/errors.h"

namespace skein {

namespace json = boost::json;

json::array WorkersJson(const std::vector<WorkerOutcome>& outcomes) {
  json::array workers;
  for (const WorkerOutcome& outcome : outcomes) {
    json::object worker = {{"worker", outcome.worker}, {"ok", outcome.status.ok()}};
    if (!outcome.status.ok()) worker["error"] = outcome.status.error_message();
    workers.push_back(std::move(worker));
  }
  return workers;
}

HttpResponse ErrorOfWorkers(const absl::Status& status, const std::vector<WorkerOutcome>& outcomes,
                            absl::string_view request_id) {
  HttpResponse response = ErrorResponse(status, request_id);
  json::object body = json::parse(response.body).get_object();
  body["workers"] = WorkersJson(outcomes);
  response.body = json::serialize(body);
  return response;
}

}  // namespace skein
