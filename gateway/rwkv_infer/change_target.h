// Which workers a change of the registry goes to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "gateway/rwkv_infer/change_run.h"
#include "skein/v1/registry.pb.h"

namespace skein {

struct ChangeTarget {
  const WorkerPool* pool = nullptr;
  std::string model;
  std::vector<WorkerHandle> workers;

  // The gateway knows what the workers have registered by now.
  std::function<bool()> AreListed() const;
};

// Unavailable, with what to do, while no worker serves a model.
absl::Status CheckModelIsReady(const WorkerPool& workers);

struct TargetedChange {
  ChangeTarget target;
  ChangeRequest request;
};

// The ready workers of `model`, or of the only one that is served. PermissionDenied if the caller
// may not use it, or `entries`.
absl::StatusOr<TargetedChange> FindTarget(const HttpRequest& request, const Caller& caller,
                                          GatewayContext& context,
                                          std::shared_ptr<HttpResponder> out,
                                          const std::string& model,
                                          const std::vector<std::string>& entries);

// Asks the first worker what it has registered, and makes the change of the answer. An error goes
// to the client.
void ChangeByList(ChangeRequest request, const ChangeTarget& target,
                  std::function<absl::StatusOr<ChangePlan>(const v1::ListResponse&)> make_plan);

}  // namespace skein
