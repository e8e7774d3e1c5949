#include "gateway/grpc/upload_budget.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "common/base/retry_after.h"

namespace skein {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

}  // namespace

absl::Status UploadBudget::Ask(const std::string& caller,
                               const std::shared_ptr<Uploader>& uploader) {
  // Nobody is passed: those who wait do not fit, and a crowd of one caller keeps no other out.
  bool fits = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    fits = TakeLocked(caller);
  }
  if (fits) {
    if (!uploader->OnTurn()) Return(caller, rules_.request_bytes);
    return absl::OkStatus();
  }
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (waiting_.size() >= rules_.max_waiting) {
      waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                    [](const Waiting& one) { return one.uploader.expired(); }),
                     waiting_.end());
    }
    if (waiting_.size() >= rules_.max_waiting) {
      return WithRetryAfter(absl::ResourceExhaustedError(absl::StrCat(
                                waiting_.size(), " requests wait for memory to be read into")),
                            kRetryAfter);
    }
    waiting_.push_back({caller, uploader});
  }
  GiveTurns();
  return absl::OkStatus();
}

void UploadBudget::Return(const std::string& caller, uint64_t bytes) {
  if (bytes == 0) return;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    ReturnLocked(caller, bytes);
  }
  GiveTurns();
}

uint64_t UploadBudget::taken_bytes() const {
  const std::lock_guard<std::mutex> lock(mu_);
  return taken_bytes_;
}

void UploadBudget::GiveTurns() {
  while (true) {
    Waiting next;
    std::shared_ptr<Uploader> uploader;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (taken_bytes_ + rules_.request_bytes > rules_.total_bytes) return;
      const auto fits = std::find_if(waiting_.begin(), waiting_.end(),
                                     [this](const Waiting& one) { return TakeLocked(one.caller); });
      if (fits == waiting_.end()) return;
      next = std::move(*fits);
      waiting_.erase(fits);
      uploader = next.uploader.lock();
    }
    if (uploader != nullptr && uploader->OnTurn()) continue;
    const std::lock_guard<std::mutex> lock(mu_);
    ReturnLocked(next.caller, rules_.request_bytes);
  }
}

bool UploadBudget::TakeLocked(const std::string& caller) {
  const uint64_t more = rules_.request_bytes;
  if (taken_bytes_ + more > rules_.total_bytes) return false;
  if (!caller.empty()) {
    uint64_t& own = taken_by_[caller];
    if (rules_.caller_bytes > 0 && own + more > rules_.caller_bytes) return false;
    own += more;
  }
  taken_bytes_ += more;
  return true;
}

void UploadBudget::ReturnLocked(const std::string& caller, uint64_t bytes) {
  taken_bytes_ -= bytes;
  if (caller.empty()) return;
  const auto own = taken_by_.find(caller);
  own->second -= bytes;
  if (own->second == 0) taken_by_.erase(own);
}

}  // namespace skein
