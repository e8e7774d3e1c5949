#include "tests/testing/model_runner.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/base/check.h"

namespace skein {

ModelRunner::ModelRunner(Model& model, const Stream& stream, const Options& options)
    : model_(model), stream_(stream), options_(options) {
  const int64_t sequences = options.sequences;
  states_.resize(sequences * model.state_layout().bytes);
  seen_.resize(sequences);
  pages_per_sequence_ = (options.max_tokens + options.page_tokens - 1) / options.page_tokens;
  const int64_t num_pages = sequences * pages_per_sequence_;
  const KvLayout& kv = model.kv_layout();
  // Memory that was never written must not matter.
  pages_.assign(num_pages * options.page_tokens * kv.bytes_per_token() / sizeof(float),
                std::numeric_limits<float>::quiet_NaN());
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t i = 0; i < pages_per_sequence_; ++i) {
      const int64_t in_order = s * pages_per_sequence_ + i;
      const int64_t scattered = (pages_per_sequence_ - 1 - i) * sequences + s;
      page_table_.push_back(static_cast<int32_t>(options.scatter_pages ? scattered : in_order));
    }
  }
}

std::vector<float> ModelRunner::Step(const std::vector<Part>& parts, Wanted wanted) {
  std::vector<int32_t> tokens, positions, row_begin = {0}, slots, table, logit_rows;
  for (const Part& part : parts) {
    for (const int32_t token : part.tokens) {
      tokens.push_back(token);
      positions.push_back(static_cast<int32_t>(seen_[part.sequence]++));
      if (wanted == Wanted::kAllRows) logit_rows.push_back(static_cast<int32_t>(tokens.size()) - 1);
    }
    if (wanted == Wanted::kLastRows) logit_rows.push_back(static_cast<int32_t>(tokens.size()) - 1);
    row_begin.push_back(static_cast<int32_t>(tokens.size()));
    slots.push_back(part.sequence);
    const auto first = page_table_.begin() + part.sequence * pages_per_sequence_;
    table.insert(table.end(), first, first + pages_per_sequence_);
  }
  const int64_t rows = static_cast<int64_t>(tokens.size());
  const int64_t count = static_cast<int64_t>(parts.size());
  const int64_t vocab = model_.description().vocab_size;
  const int64_t outputs = static_cast<int64_t>(logit_rows.size());
  std::vector<float> logits(outputs * vocab, std::numeric_limits<float>::quiet_NaN());
  ModelBatch batch;
  batch.tokens = {tokens.data(), {rows}};
  batch.positions = {positions.data(), {rows}};
  batch.row_begin = {row_begin.data(), {count + 1}};
  batch.slots = {slots.data(), {count}};
  batch.pages = {table.data(), {count, pages_per_sequence_}};
  batch.logit_rows = {logit_rows.data(), {outputs}};
  batch.state.base = states_.data();
  batch.kv = {pages_.data(), static_cast<int64_t>(seen_.size()) * pages_per_sequence_,
              options_.page_tokens};
  batch.logits = {logits.data(), {outputs, vocab}};
  for (const Part& part : parts) {
    batch.max_rows = std::max(batch.max_rows, static_cast<int64_t>(part.tokens.size()));
  }
  status_ = model_.Forward(batch, stream_);
  return logits;
}

std::vector<float> ModelRunner::Feed(int sequence, const std::vector<int32_t>& tokens,
                                     int64_t chunk) {
  std::vector<float> logits;
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t step = chunk == 0 ? count : chunk;
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t end = std::min(begin + step, count);
    const std::vector<float> part =
        Step({{sequence, {tokens.begin() + begin, tokens.begin() + end}}});
    if (!status_.ok()) return {};
    logits.insert(logits.end(), part.begin(), part.end());
  }
  return logits;
}

const StateField& ModelRunner::Field(const std::string& name, int layer) const {
  for (const StateField& field : model_.state_layout().fields) {
    if (field.name == name && field.layer == layer) return field;
  }
  SKEIN_CHECK(false);
}

std::vector<float> ModelRunner::State(int sequence, const std::string& name, int layer) const {
  const StateField& field = Field(name, layer);
  std::vector<float> values(NumElements(field.shape));
  std::memcpy(values.data(), states_.data() + sequence * model_.state_layout().bytes + field.offset,
              values.size() * sizeof(float));
  return values;
}

void ModelRunner::SetState(int sequence, const std::string& name, int layer, const float* values) {
  const StateField& field = Field(name, layer);
  std::memcpy(states_.data() + sequence * model_.state_layout().bytes + field.offset, values,
              NumElements(field.shape) * sizeof(float));
}

std::vector<std::byte> ModelRunner::Record(int sequence) const {
  const int64_t bytes = model_.state_layout().bytes;
  return {states_.begin() + sequence * bytes, states_.begin() + (sequence + 1) * bytes};
}

std::vector<float> ModelRunner::KeyValue(int sequence, int attention_layer, int plane,
                                         int64_t token) const {
  const KvLayout& kv = model_.kv_layout();
  const int64_t num_pages = static_cast<int64_t>(seen_.size()) * pages_per_sequence_;
  const int64_t page = page_table_[sequence * pages_per_sequence_ + token / options_.page_tokens];
  std::vector<float> values;
  for (int h = 0; h < kv.num_kv_heads; ++h) {
    const int64_t block = ((attention_layer * 2 + plane) * num_pages + page) * kv.num_kv_heads + h;
    const float* at =
        pages_.data() + (block * options_.page_tokens + token % options_.page_tokens) * kv.head_dim;
    values.insert(values.end(), at, at + kv.head_dim);
  }
  return values;
}

}  // namespace skein
