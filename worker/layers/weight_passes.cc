#include "worker/layers/weight_passes.h"

#include <algorithm>

namespace skein {
namespace {

template <typename T>
TensorView<T> Range(const TensorView<T>& view, int64_t begin, int64_t count) {
  return {view.data() + begin, {count}};
}

TensorView<const int32_t> ViewOf(const std::vector<int32_t>& values) {
  return {values.data(), {static_cast<int64_t>(values.size())}};
}

}  // namespace

std::span<const WeightPass> WeightPasses::Cut(const ModelBatch& batch) {
  passes_.clear();
  const bool replaced = std::any_of(batch.adapters.begin(), batch.adapters.end(),
                                    [](const AdapterRows& rows) { return rows.adapter->replaces; });
  if (!replaced) {
    passes_.push_back({batch, nullptr});
    return passes_;
  }
  int64_t begin = 0;
  for (const AdapterRows& rows : batch.adapters) {
    if (!rows.adapter->replaces) continue;
    Add(batch, begin, rows.first_sequence);
    begin = rows.first_sequence + rows.num_sequences;
    Add(batch, rows.first_sequence, begin);
    passes_.back().replacing = rows.adapter;
  }
  Add(batch, begin, batch.num_sequences());
  return passes_;
}

// Sequences [first, last); nothing if there are none.
void WeightPasses::Add(const ModelBatch& batch, int64_t first, int64_t last) {
  if (first == last) return;
  if (parts_.size() == passes_.size()) parts_.push_back(std::make_unique<Part>());
  Part& part = *parts_[passes_.size()];
  const int32_t begin = batch.row_begin[first], end = batch.row_begin[last];
  ModelBatch cut = batch;
  part.row_begin.clear();
  cut.max_rows = 0;
  for (int64_t s = first; s <= last; ++s) {
    part.row_begin.push_back(batch.row_begin[s] - begin);
    if (s == last) break;
    cut.max_rows = std::max<int64_t>(cut.max_rows, batch.row_begin[s + 1] - batch.row_begin[s]);
  }
  const int32_t* const outputs = batch.logit_rows.data();
  const int64_t num_outputs = batch.logit_rows.dim(0);
  const int64_t first_output = std::lower_bound(outputs, outputs + num_outputs, begin) - outputs;
  const int64_t last_output = std::lower_bound(outputs, outputs + num_outputs, end) - outputs;
  part.logit_rows.clear();
  for (int64_t i = first_output; i < last_output; ++i) {
    part.logit_rows.push_back(outputs[i] - begin);
  }
  part.adapters.clear();
  for (AdapterRows rows : batch.adapters) {
    if (rows.first_sequence < first || rows.first_sequence >= last) continue;
    rows.first_sequence -= first;
    part.adapters.push_back(rows);
  }
  part.factors.clear();
  for (const SequenceFactors& one : batch.factors) {
    if (one.sequence < first || one.sequence >= last) continue;
    part.factors.push_back({one.sequence - first, one.factors});
  }
  cut.tokens = Range(batch.tokens, begin, end - begin);
  cut.positions = Range(batch.positions, begin, end - begin);
  cut.row_begin = ViewOf(part.row_begin);
  cut.slots = Range(batch.slots, first, last - first);
  if (!batch.pages.empty()) {
    cut.pages = {batch.pages.row(first), {last - first, batch.pages.dim(1)}};
  }
  cut.logit_rows = ViewOf(part.logit_rows);
  cut.logits = batch.logits.Rows(first_output, last_output - first_output);
  cut.adapters = part.adapters;
  cut.factors = part.factors;
  passes_.push_back({cut, nullptr});
}

}  // namespace skein
