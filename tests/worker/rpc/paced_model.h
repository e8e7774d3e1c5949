// A model whose text is the alphabet, as slow as a test wants it.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "absl/time/time.h"

#include "tests/testing/byte_tokenizer.h"
#include "worker/models/model.h"

namespace skein {

// After the token at position p it wants 'a' + p % 26, by far. So the greedy answer to "abc", which
// ByteTokenizer makes four tokens of, is "defgh...".
class PacedModel final : public Model {
 public:
  // Shared with the test, which turns the knobs while the model runs. Thread-safe.
  class Pace {
   public:
    void SetStepTime(absl::Duration time) {
      const std::lock_guard<std::mutex> lock(mu_);
      step_time_ = time;
    }
    // While closed, the next step does not come back.
    void Close() { SetOpen(false); }
    void Open() { SetOpen(true); }
    void Step() {
      std::unique_lock<std::mutex> lock(mu_);
      changed_.wait(lock, [this] { return open_; });
      const absl::Duration time = step_time_;
      lock.unlock();
      if (time > absl::ZeroDuration()) absl::SleepFor(time);
    }

   private:
    void SetOpen(bool open) {
      const std::lock_guard<std::mutex> lock(mu_);
      open_ = open;
      changed_.notify_all();
    }

    std::mutex mu_;
    std::condition_variable changed_;
    bool open_ = true;          // guarded by mu_
    absl::Duration step_time_;  // guarded by mu_
  };

  explicit PacedModel(std::shared_ptr<Pace> pace) : pace_(std::move(pace)) {
    description_.architecture = "hybrid";
    description_.weight_format = "fp32";
    description_.vocab_size = ByteTokenizer::kVocabSize;
    description_.weight_bytes = 1000;
    description_.fingerprint = 0xf00d;
    state_layout_.fields = {{"wkv", 0, 0, {16}, DType::kF32}};
    state_layout_.bytes = 64;
  }

  const ModelDescription& description() const override { return description_; }
  const StateLayout& state_layout() const override { return state_layout_; }
  const KvLayout& kv_layout() const override { return kv_layout_; }

  absl::Status Forward(const ModelBatch& batch, const Stream&) override {
    pace_->Step();
    const int64_t vocab_size = description_.vocab_size;
    for (int64_t i = 0; i < batch.logit_rows.dim(0); ++i) {
      float* logits = batch.logits.data() + i * vocab_size;
      std::fill(logits, logits + vocab_size, 0.0f);
      const int32_t position = batch.positions.data()[batch.logit_rows.data()[i]];
      logits['a' + position % 26] = 30.0f;
    }
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<Pace> pace_;
  ModelDescription description_;
  StateLayout state_layout_;
  KvLayout kv_layout_;
};

}  // namespace skein
