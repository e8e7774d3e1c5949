#include "gateway/grpc/open_calls.h"

#include <vector>

#include "absl/strings/str_cat.h"

namespace skein {

absl::Status OpenCalls::Enter(const std::shared_ptr<OpenCall>& call) {
  const std::lock_guard<std::mutex> lock(mu_);
  if (draining_) return absl::UnavailableError("the gateway is shutting down");
  if (calls_.size() >= max_calls_) {
    return absl::UnavailableError(
        absl::StrCat("too many open calls: ", calls_.size(), ", allowed are ", max_calls_));
  }
  calls_.emplace(call.get(), call);
  return absl::OkStatus();
}

void OpenCalls::Leave(const OpenCall* call) {
  const std::lock_guard<std::mutex> lock(mu_);
  calls_.erase(call);
  if (calls_.empty()) none_.notify_all();
}

bool OpenCalls::WaitForNone(absl::Duration timeout) {
  std::unique_lock<std::mutex> lock(mu_);
  return none_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                        [this] { return calls_.empty(); });
}

void OpenCalls::Drain() {
  const std::lock_guard<std::mutex> lock(mu_);
  draining_ = true;
}

void OpenCalls::LookAfter(absl::Time now) {
  std::vector<std::shared_ptr<OpenCall>> calls;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    calls.reserve(calls_.size());
    for (const auto& [pointer, weak] : calls_) {
      if (std::shared_ptr<OpenCall> call = weak.lock()) calls.push_back(std::move(call));
    }
  }
  for (const std::shared_ptr<OpenCall>& call : calls) call->LookAfter(now);
}

}  // namespace skein
