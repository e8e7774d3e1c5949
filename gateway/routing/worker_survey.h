// Questions about all workers together: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "gateway/routing/known_worker.h"
#include "gateway/routing/worker_handle.h"
#include "skein/v1/workers.pb.h"

namespace skein {

using KnownWorkers = std::map<uint64_t, KnownWorker>;  // by number

// The request does not want this worker, which serves `model`.
bool IsPassedOver(const KnownWorker& worker, const std::string& model, const PickRequest& request);
// It is ready, serves the model, and the request wants it.
bool CouldServe(const KnownWorker& worker, const std::string& model, const PickRequest& request);
// The one model that is served. InvalidArgument if there are several, Unavailable if there is none.
absl::StatusOr<std::string> OnlyModel(const KnownWorkers& workers);
// Why none of them can take the request. A worker that is down, draining or passed over and had the
// model makes it Unavailable instead of NotFound.
absl::Status WhyNobodyServes(const KnownWorkers& workers, const std::string& model,
                             const PickRequest& request);
// Models that a ready worker serves, each once, by name.
std::vector<v1::ModelInfo> ReadyModels(const KnownWorkers& workers);
// Ready workers by model, of each that a worker has or had when it was last heard of.
std::map<std::string, int> NumReadyByModel(const KnownWorkers& workers);

}  // namespace skein
