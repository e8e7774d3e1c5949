// One step as a struct of arrays: what the model reads, and what is sampled from its logits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/sample/sample.h"
#include "worker/engine/planner.h"
#include "worker/engine/sequence.h"
#include "worker/models/model.h"

namespace skein {

// Reused from step to step, so that its arrays keep their capacity.
struct BatchPlan {
  // One sequence of the step, with all of its branches. Its outputs are indices into the arrays of
  // outputs.
  struct Entry {
    Sequence* sequence = nullptr;
    int rows = 0;         // of each branch
    int first_score = 0;  // outputs that score the prompt tokens from position num_fed + 1 on
    int num_scores = 0;
    int draw =
        -1;  // output that draws its next token; -1: its prompt goes on, or nothing is to be drawn
    int first_copy = 0;  // outputs that draw for the request's further choices, 1 and up
    int num_copies = 0;
  };
  std::vector<Entry> entries;

  // The fields of ModelBatch. To the model each branch is a sequence; those of an entry are
  // neighbours.
  std::vector<int32_t> tokens, positions;  // [rows]
  std::vector<int32_t> row_begin;          // [branches + 1]
  std::vector<int32_t> slots;              // [branches]
  std::vector<int32_t> pages;              // [branches, max_pages], filled up with 0
  int64_t max_pages = 0;
  int64_t max_rows = 0;             // of the longest entry
  std::vector<int32_t> logit_rows;  // [model outputs]

  // The fields of MixLogitsArgs. A group for each output of an entry whose logits are mixed; the
  // sum takes the place of the first branch's model output.
  std::vector<int32_t> mix_begin;  // [groups + 1]
  std::vector<int32_t> mix_rows;   // [terms]
  std::vector<float> mix_weights;  // [terms]

  // The fields of SampleArgs, for the model's outputs and after them those of further choices.
  std::vector<int32_t> sampled_from;  // [outputs]: the model output that each is drawn from
  std::vector<SampleRow> samples;     // [outputs]
  std::vector<int32_t> penalty_begin, bias_begin, banned_begin;  // [outputs + 1]
  std::vector<PenaltyEntry> penalties;
  std::vector<BiasEntry> biases;
  std::vector<int32_t> banned;
  std::vector<uint32_t> masks;  // [masks, mask_words]
  int64_t mask_words = 0;

  std::vector<AdapterRows> adapters;  // fields of ModelBatch
  std::vector<SequenceFactors> factors;

  int64_t mixture_rows = 0;  // of entries with more than one branch
  int64_t adapter_rows = 0;  // of entries with an adapter

  int64_t num_rows() const { return static_cast<int64_t>(tokens.size()); }
  int64_t num_model_outputs() const { return static_cast<int64_t>(logit_rows.size()); }
  int64_t num_mixed() const {
    return mix_begin.empty() ? 0 : static_cast<int64_t>(mix_begin.size()) - 1;
  }
  int64_t num_outputs() const { return static_cast<int64_t>(samples.size()); }
};

// Fills plans for one model.
class BatchBuilder {
 public:
  // `vocabulary`: a bit for each id that a token has; empty if all have one.
  BatchBuilder(int64_t vocab_size, std::vector<uint32_t> vocabulary);

  // `planned` indexes `sequences`. Rows with the same adapters become neighbours; otherwise the
  // order stays. The result is valid until the next call.
  const BatchPlan& Build(std::span<const PlannedRows> planned,
                         std::span<Sequence* const> sequences);

 private:
  void Clear();
  void SortByAdapter(std::span<const PlannedRows> planned, std::span<Sequence* const> sequences);
  void AddAdapters(const Sequence& sequence, int64_t first_branch);
  void AddFactors(const Conditioning& conditioning, int64_t first_branch);
  void AddRows(const Sequence& sequence, const SequenceMemory& branch, int rows);
  void AddOutputs(BatchPlan::Entry& entry);
  // The model's outputs that the entry's `outputs` scores and draw are of.
  void AddModelOutputs(const BatchPlan::Entry& entry, int outputs);
  void AddMixing(const Conditioning& conditioning, int32_t first, int outputs);
  void AddCopies(BatchPlan::Entry& entry);
  void AddScore(const Sequence& sequence, int32_t next_token);
  void AddDraw(const Sequence& sequence, int choice);
  void CloseLists();
  int32_t AddMask(const std::vector<uint32_t>& mask);

  const int64_t mask_words_;
  const std::vector<uint32_t> vocabulary_;
  BatchPlan plan_;
  std::vector<PlannedRows> sorted_;
};

}  // namespace skein
