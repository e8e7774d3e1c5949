// A model whose logits are a hash of everything that the sequence's memory should hold: a wrong
// slot, page, position or row shows as a wrong token.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "worker/memory/initial_state.h"
#include "worker/models/model.h"

namespace skein {

// The state record holds a hash of the tokens seen and their number; each attention layer's keys
// and values hold the token and its position, and every row reads all of its sequence's pages. CPU
// streams only.
class FakeModel final : public Model {
 public:
  struct Options {
    int64_t vocab_size = 97;
    int num_kv_layers = 2;  // 0: like a pure RWKV model
    // Called first in each Forward, by its thread; an error ends the step.
    std::function<absl::Status(const ModelBatch&)> on_forward;
    // Edits the logits after `num_tokens` tokens of a sequence. Not seen by LogitsAfter.
    std::function<void(int64_t num_tokens, std::span<float> logits)> on_logits;
  };
  explicit FakeModel(Options options);

  const ModelDescription& description() const override { return description_; }
  const StateLayout& state_layout() const override { return state_layout_; }
  const KvLayout& kv_layout() const override { return kv_layout_; }
  // InvalidArgument if a state does not stand just before its sequence's rows, if slots repeat or
  // if shapes disagree.
  absl::Status Forward(const ModelBatch& batch, const Stream& stream) override;

  // A state to start from in place of zeros: as if tokens of this hash had come before.
  static std::shared_ptr<const InitialState> StateOfHash(uint64_t hash);
  // The logits after `tokens`, computed from the tokens and from what they started from alone.
  static std::vector<float> LogitsAfter(std::span<const int32_t> tokens, const Options& options,
                                        const InitialState* start = nullptr);

 private:
  struct Record;
  absl::Status ForwardSequence(const ModelBatch& batch, int64_t sequence, int64_t& next_output);
  absl::Status CheckBatch(const ModelBatch& batch) const;
  float* Cell(const ModelBatch& batch, int64_t sequence, int plane, int64_t position) const;
  uint64_t ReadPages(const ModelBatch& batch, int64_t sequence, int64_t num_tokens) const;

  const Options options_;
  ModelDescription description_;
  StateLayout state_layout_;
  KvLayout kv_layout_;
};

}  // namespace skein
