// Holds a fake model before each step until the test lets it go on.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "absl/status/status.h"

#include "worker/models/model.h"

namespace skein {

// Thread-safe. Given to FakeModel as on_forward by reference: it must outlive the loop, and be open
// when that ends.
class StepGate {
 public:
  // What the held step would run.
  struct Step {
    int sequences = 0;
    int rows = 0;
    std::vector<int32_t> slots;
  };

  absl::Status Pass(const ModelBatch& batch) {
    std::unique_lock<std::mutex> lock(mu_);
    held_ = true;
    step_.sequences = static_cast<int>(batch.num_sequences());
    step_.rows = static_cast<int>(batch.num_rows());
    step_.slots.assign(batch.slots.data(), batch.slots.data() + batch.num_sequences());
    changed_.notify_all();
    changed_.wait(lock, [this] { return permits_ > 0 || open_; });
    held_ = false;
    if (!open_) --permits_;
    return error_;
  }

  // The step that is being held, once there is one.
  Step WaitHeld() {
    std::unique_lock<std::mutex> lock(mu_);
    changed_.wait(lock, [this] { return held_ && permits_ == 0; });
    return step_;
  }
  // Lets one step pass, and waits for the next one to be held.
  Step Next() {
    WaitHeld();
    {
      const std::lock_guard<std::mutex> lock(mu_);
      ++permits_;
      changed_.notify_all();
    }
    return WaitHeld();
  }
  void Open() {
    const std::lock_guard<std::mutex> lock(mu_);
    open_ = true;
    changed_.notify_all();
  }
  // Holds steps again after Open.
  void Close() {
    const std::lock_guard<std::mutex> lock(mu_);
    open_ = false;
  }
  // Every step that passes from now on fails.
  void Break(absl::Status error) {
    const std::lock_guard<std::mutex> lock(mu_);
    error_ = std::move(error);
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_:
  int permits_ = 0;
  bool held_ = false;
  bool open_ = false;
  Step step_;
  absl::Status error_;
};

}  // namespace skein
