// One step as a struct of arrays: what the model reads, and what is sampled from its logits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/sample/sample.h"
#include "worker/engine/planner.h"
#include "worker/engine/sequence.h"

namespace skein {

// Reused from step to step, so that its arrays keep their capacity.
struct BatchPlan {
  // One sequence of the step. Its outputs are indices into the arrays of outputs.
  struct Entry {
    Sequence* sequence = nullptr;
    int rows = 0;
    int first_score = 0;  // outputs that score the prompt tokens from position num_fed + 1 on
    int num_scores = 0;
    int draw =
        -1;  // output that draws its next token; -1: its prompt goes on, or nothing is to be drawn
    int first_copy = 0;  // outputs that draw for the request's further choices, 1 and up
    int num_copies = 0;
  };
  std::vector<Entry> entries;

  // The fields of ModelBatch.
  std::vector<int32_t> tokens, positions;  // [rows]
  std::vector<int32_t> row_begin;          // [entries + 1]
  std::vector<int32_t> slots;              // [entries]
  std::vector<int32_t> pages;              // [entries, max_pages], filled up with 0
  int64_t max_pages = 0;
  int64_t max_rows = 0;             // of the longest entry
  std::vector<int32_t> logit_rows;  // [model outputs]

  // The fields of SampleArgs, for the model's outputs and after them those of further choices.
  std::vector<int32_t> sampled_from;  // [outputs]: the model output that each is drawn from
  std::vector<SampleRow> samples;     // [outputs]
  std::vector<int32_t> penalty_begin, bias_begin, banned_begin;  // [outputs + 1]
  std::vector<PenaltyEntry> penalties;
  std::vector<BiasEntry> biases;
  std::vector<int32_t> banned;
  std::vector<uint32_t> masks;  // [masks, mask_words]
  int64_t mask_words = 0;

  int64_t num_rows() const { return static_cast<int64_t>(tokens.size()); }
  int64_t num_model_outputs() const { return static_cast<int64_t>(logit_rows.size()); }
  int64_t num_outputs() const { return static_cast<int64_t>(samples.size()); }
};

// Fills plans for one model.
class BatchBuilder {
 public:
  // `vocabulary`: a bit for each id that a token has; empty if all have one.
  BatchBuilder(int64_t vocab_size, std::vector<uint32_t> vocabulary);

  // `planned` indexes `sequences`. The result is valid until the next call.
  const BatchPlan& Build(std::span<const PlannedRows> planned,
                         std::span<Sequence* const> sequences);

 private:
  void Clear();
  void AddRows(Sequence& sequence, int rows);
  void AddOutputs(BatchPlan::Entry& entry);
  // The model's next output is of `row`, and is drawn from.
  void AddOutput(int32_t row);
  void AddCopies(BatchPlan::Entry& entry);
  void AddScore(const Sequence& sequence, int32_t next_token);
  void AddDraw(const Sequence& sequence, int choice);
  void CloseLists();
  int32_t AddMask(const std::vector<uint32_t>& mask);

  const int64_t mask_words_;
  const std::vector<uint32_t> vocabulary_;
  BatchPlan plan_;
};

}  // namespace skein
