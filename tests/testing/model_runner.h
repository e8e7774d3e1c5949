// Runs a Model over tokens without an engine. States and pages lie where the stream computes; what
// goes into a step and comes out of it is the host's memory, pinned for a GPU to work on in place.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "worker/models/model.h"

namespace skein {

// Sequence i uses slot i. Not thread-safe.
class ModelRunner {
 public:
  struct Options {
    int sequences = 1;
    int64_t max_tokens = 160;  // per sequence, for the pages
    int page_tokens = 16;
    bool scatter_pages = true;  // give each sequence pages from all over the pool, else in order
  };
  // What one sequence feeds in a step.
  struct Part {
    int sequence = 0;
    std::vector<int32_t> tokens;
    const BoundAdapter* adapter = nullptr;  // none: the model as it is
    std::optional<float> scale = std::nullopt;
    std::vector<std::pair<const BoundAdapter*, std::optional<float>>> further = {};  // on top of it
  };

  ModelRunner(Model& model, const Stream& stream, const Options& options);

  // As new: states of zero, and pages that nobody has written.
  void Reset();

  enum class Wanted { kAllRows, kLastRows };  // of each part

  // One step; the logits of the wanted rows, in the order of the parts.
  std::vector<float> Step(const std::vector<Part>& parts, Wanted wanted = Wanted::kAllRows);
  // Feeds `tokens` to one sequence in chunks of `chunk` rows (0: all at once); logits of every
  // token.
  std::vector<float> Feed(int sequence, const std::vector<int32_t>& tokens, int64_t chunk,
                          const BoundAdapter* adapter = nullptr);
  absl::Status last_status() const { return status_; }

  // A field of a sequence's state record.
  std::vector<float> State(int sequence, const std::string& name, int layer) const;
  void SetState(int sequence, const std::string& name, int layer, const float* values);
  // The whole record.
  std::vector<std::byte> Record(int sequence) const;
  bool RecordIs(int sequence, const std::vector<std::byte>& record) const;
  // Key (plane 0) or value (plane 1) of a token, [kv heads * head dim].
  std::vector<float> KeyValue(int sequence, int attention_layer, int plane, int64_t token) const;
  int64_t tokens_seen(int sequence) const { return seen_[sequence]; }

 private:
  // A copy where the stream can read it, until the next Step. They lie one after the other.
  template <typename T>
  T* Staged(const std::vector<T>& values);
  // A copy for the host of what lies where the stream computes, until the next call.
  const std::byte* Fetched(const std::byte* from, int64_t bytes) const;
  const StateField& Field(const std::string& name, int layer) const;

  Model& model_;
  const Stream stream_;
  const Options options_;
  int64_t pages_per_sequence_ = 0;
  std::byte* states_ = nullptr;  // [sequences, record]
  std::byte* pages_ = nullptr;   // as KvView::base
  std::unique_ptr<Arena> state_arena_, page_arena_;
  std::unique_ptr<Arena> staging_;
  mutable std::unique_ptr<Arena> fetched_;
  std::vector<int32_t> page_table_;  // [sequences, pages_per_sequence_]
  std::vector<int64_t> seen_;
  absl::Status status_;
};

}  // namespace skein
