// Collects what a Generate call brings, and waits for its end.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"

#include "gateway/rpc/inference_client.h"

namespace skein {

// Thread-safe. Outlives the call.
class CallRecorder {
 public:
  GenerateCallbacks Callbacks() {
    GenerateCallbacks callbacks;
    callbacks.on_message = [this](const v1::GenerateResponse& message) {
      const std::lock_guard<std::mutex> lock(mu_);
      messages_.push_back(message);
      text_ += message.text();
      changed_.notify_all();
    };
    callbacks.on_done = [this](const absl::Status& status) {
      const std::lock_guard<std::mutex> lock(mu_);
      ++num_done_;
      done_ = status;
      changed_.notify_all();
    };
    return callbacks;
  }

  // The status of on_done, or an error of the test's own if it does not come.
  absl::Status WaitForDone() {
    std::unique_lock<std::mutex> lock(mu_);
    const bool came = changed_.wait_until(lock, absl::ToChronoTime(absl::Now() + absl::Seconds(10)),
                                          [this] { return done_.has_value(); });
    return came ? *done_ : absl::UnknownError("on_done did not come");
  }

  bool WaitForMessages(size_t count) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_until(lock, absl::ToChronoTime(absl::Now() + absl::Seconds(10)),
                               [this, count] { return messages_.size() >= count; });
  }

  std::vector<v1::GenerateResponse> messages() {
    const std::lock_guard<std::mutex> lock(mu_);
    return messages_;
  }
  std::string text() {
    const std::lock_guard<std::mutex> lock(mu_);
    return text_;
  }
  int num_done() {
    const std::lock_guard<std::mutex> lock(mu_);
    return num_done_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::vector<v1::GenerateResponse> messages_;
  std::string text_;
  std::optional<absl::Status> done_;
  int num_done_ = 0;
};

}  // namespace skein
