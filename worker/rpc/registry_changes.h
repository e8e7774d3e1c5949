// The thread on which a worker's registry changes.
#pragma once

#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"

#include "common/base/bounded_queue.h"
#include "worker/engine/model_host.h"
#include "worker/registry/keeper.h"

namespace skein {

// A served model's registry, with files of states and adapters read to where the model computes.
// `model` and `host` must outlive it.
RegistryTarget TargetOf(ModelHost& host, ServedModel& model);

// Changes are made one after the other, in order, beside the step loop and gRPC's threads. Thread-
// safe. `host` and `keeper` must outlive it.
class RegistryChanges {
 public:
  using Change = std::function<absl::Status(RegistryKeeper&, const RegistryTarget&)>;
  using Done = std::function<void(const absl::Status&)>;

  RegistryChanges(ModelHost& host, RegistryKeeper& keeper);
  // Makes those that wait, and joins the thread.
  ~RegistryChanges();
  RegistryChanges(const RegistryChanges&) = delete;
  RegistryChanges& operator=(const RegistryChanges&) = delete;

  // `done` hears how it went: from the thread, or at once with ResourceExhausted if too many wait.
  // Errors as ModelHost::Find and the change have them.
  void Post(std::string model, Change change, Done done);
  // Reads the manifest again, and logs how it went.
  void Reload();

 private:
  absl::Status Make(const std::string& model, const Change& change);

  ModelHost& host_;
  RegistryKeeper& keeper_;
  BoundedQueue<std::function<void()>> queue_;
  std::thread thread_;
};

}  // namespace skein
