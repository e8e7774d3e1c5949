#include "worker/engine/served_model.h"

#include "absl/strings/str_cat.h"

#include "worker/engine/refusal_reason.h"

namespace skein {

ServedModel::~ServedModel() {
  if (loop != nullptr) Close();
}

absl::Status ServedModel::Change(absl::FunctionRef<absl::Status()> change) {
  const std::lock_guard<std::mutex> lock(change_mu_);
  if (!parked_) return change();
  return WithReason(
      absl::UnavailableError(absl::StrCat("model ", profile.name, ": is being replaced")),
      "loading");
}

void ServedModel::Park() {
  const std::lock_guard<std::mutex> lock(change_mu_);
  parked_ = true;
}

void ServedModel::Resume() {
  loop->Resume();
  const std::lock_guard<std::mutex> lock(change_mu_);
  parked_ = false;
}

// The registry's entries may hold memory of the device, so they go before it.
void ServedModel::Close() {
  if (closed_) return;
  closed_ = true;
  Park();
  loop->Close();
  static_cast<void>(registry->Publish({}));  // nothing cannot be wrong
  files.reset();
  device.reset();
  metrics.reset();
}

}  // namespace skein
