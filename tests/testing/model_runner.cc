#include "tests/testing/model_runner.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "common/base/check.h"
#include "kernels/device/memory.h"

namespace skein {
namespace {

std::unique_ptr<Arena> NewStaging(const Stream& stream, int64_t bytes) {
  auto arena = CreateStaging(stream, bytes);
  SKEIN_CHECK(arena.ok());
  return *std::move(arena);
}

std::unique_ptr<Arena> NewArena(const Stream& stream, int64_t bytes) {
  auto arena = CreateArena(stream, bytes);
  SKEIN_CHECK(arena.ok());
  return *std::move(arena);
}

// NaN in every type: memory that was never written must not matter.
void FillWithNan(const Stream& stream, std::byte* to, int64_t bytes) {
  constexpr int64_t kAtOnce = int64_t{1} << 20;
  const std::unique_ptr<Arena> nan = NewStaging(stream, kAtOnce);
  std::memset(nan->data(), 0xff, kAtOnce);
  for (int64_t done = 0; done < bytes; done += kAtOnce) {
    SKEIN_CHECK(Copy(stream, to + done, nan->data(), std::min(kAtOnce, bytes - done)).ok());
  }
  SKEIN_CHECK(Synchronize(stream).ok());
}

std::vector<float> Widened(const std::byte* from, DType dtype, int64_t count) {
  std::vector<float> values(count);
  if (dtype == DType::kF32) {
    std::memcpy(values.data(), from, count * sizeof(float));
    return values;
  }
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, from + i * sizeof(bits), sizeof(bits));
    values[i] = dtype == DType::kF16 ? Fp16ToFloat(bits) : Bf16ToFloat(bits);
  }
  return values;
}

}  // namespace

template <typename T>
T* ModelRunner::Staged(const std::vector<T>& values) {
  const auto place = staging_->Allocate(values.size() * sizeof(T));
  SKEIN_CHECK(place.ok());
  T* const copy = static_cast<T*>(*place);
  std::copy(values.begin(), values.end(), copy);
  return copy;
}

const std::byte* ModelRunner::Fetched(const std::byte* from, int64_t bytes) const {
  if (stream_.on_cpu()) return from;
  if (fetched_ == nullptr || fetched_->bytes() < static_cast<size_t>(bytes)) {
    fetched_ = NewStaging(stream_, bytes);
  }
  SKEIN_CHECK(Copy(stream_, fetched_->data(), from, bytes).ok());
  SKEIN_CHECK(Synchronize(stream_).ok());
  return static_cast<const std::byte*>(fetched_->data());
}

ModelRunner::ModelRunner(Model& model, const Stream& stream, const Options& options)
    : model_(model), stream_(stream), options_(options) {
  const int64_t sequences = options.sequences;
  state_arena_ = NewArena(stream, sequences * model.state_layout().bytes);
  states_ = static_cast<std::byte*>(state_arena_->data());
  seen_.resize(sequences);
  pages_per_sequence_ = (options.max_tokens + options.page_tokens - 1) / options.page_tokens;
  const int64_t num_pages = sequences * pages_per_sequence_;
  const KvLayout& kv = model.kv_layout();
  const int64_t bytes = num_pages * options.page_tokens * kv.bytes_per_token();
  page_arena_ = NewArena(stream, bytes);
  pages_ = static_cast<std::byte*>(page_arena_->data());
  Reset();
  for (int64_t s = 0; s < sequences; ++s) {
    for (int64_t i = 0; i < pages_per_sequence_; ++i) {
      const int64_t in_order = s * pages_per_sequence_ + i;
      const int64_t scattered = (pages_per_sequence_ - 1 - i) * sequences + s;
      page_table_.push_back(static_cast<int32_t>(options.scatter_pages ? scattered : in_order));
    }
  }
}

void ModelRunner::Reset() {
  std::fill(seen_.begin(), seen_.end(), 0);
  SKEIN_CHECK(Zero(stream_, states_, static_cast<int64_t>(state_arena_->bytes())).ok());
  FillWithNan(stream_, pages_, static_cast<int64_t>(page_arena_->bytes()));
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
  size_t staged = 0;
  for (const auto* values : {&tokens, &positions, &row_begin, &slots, &table, &logit_rows}) {
    staged += Arena::Rounded(values->size() * sizeof(int32_t));
  }
  staging_.reset();
  staging_ = NewStaging(stream_, staged + Arena::Rounded(logits.size() * sizeof(float)));
  ModelBatch batch;
  batch.tokens = {Staged(tokens), {rows}};
  batch.positions = {Staged(positions), {rows}};
  batch.row_begin = {Staged(row_begin), {count + 1}};
  batch.slots = {Staged(slots), {count}};
  batch.pages = {Staged(table), {count, pages_per_sequence_}};
  batch.logit_rows = {Staged(logit_rows), {outputs}};
  batch.state.base = states_;
  batch.kv = {pages_, static_cast<int64_t>(seen_.size()) * pages_per_sequence_,
              options_.page_tokens};
  float* const found = Staged(logits);
  batch.logits = {found, {outputs, vocab}};
  std::vector<AdapterRows> adapters;
  for (size_t i = 0; i < parts.size(); ++i) {
    batch.max_rows = std::max(batch.max_rows, static_cast<int64_t>(parts[i].tokens.size()));
    if (parts[i].adapter == nullptr) continue;
    adapters.push_back({parts[i].adapter, static_cast<int64_t>(i), 1, parts[i].scale});
    for (const auto& [adapter, scale] : parts[i].further) {
      adapters.push_back({adapter, static_cast<int64_t>(i), 1, scale});
    }
  }
  batch.adapters = adapters;
  status_ = model_.Forward(batch, stream_);
  if (status_.ok()) status_ = Synchronize(stream_);
  std::copy_n(found, logits.size(), logits.begin());
  return logits;
}

std::vector<float> ModelRunner::Feed(int sequence, const std::vector<int32_t>& tokens,
                                     int64_t chunk, const BoundAdapter* adapter) {
  std::vector<float> logits;
  const auto count = static_cast<int64_t>(tokens.size());
  const int64_t step = chunk == 0 ? count : chunk;
  for (int64_t begin = 0; begin < count; begin += step) {
    const int64_t end = std::min(begin + step, count);
    const std::vector<float> part =
        Step({{sequence, {tokens.begin() + begin, tokens.begin() + end}, adapter}});
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
  const int64_t count = NumElements(field.shape);
  const std::byte* const from = states_ + sequence * model_.state_layout().bytes + field.offset;
  return Widened(Fetched(from, count * DTypeBytes(field.dtype)), field.dtype, count);
}

void ModelRunner::SetState(int sequence, const std::string& name, int layer, const float* values) {
  const StateField& field = Field(name, layer);
  const int64_t count = NumElements(field.shape), bytes = count * DTypeBytes(field.dtype);
  const std::unique_ptr<Arena> staged = NewStaging(stream_, bytes);
  auto* const to = static_cast<std::byte*>(staged->data());
  for (int64_t i = 0; i < count; ++i) {
    if (field.dtype == DType::kF32) {
      std::memcpy(to + i * sizeof(float), values + i, sizeof(float));
    } else {
      const uint16_t bits = FloatToFp16(values[i]);
      std::memcpy(to + i * sizeof(bits), &bits, sizeof(bits));
    }
  }
  std::byte* const record = states_ + sequence * model_.state_layout().bytes;
  SKEIN_CHECK(Copy(stream_, record + field.offset, to, bytes).ok());
  SKEIN_CHECK(Synchronize(stream_).ok());
}

std::vector<std::byte> ModelRunner::Record(int sequence) const {
  const int64_t bytes = model_.state_layout().bytes;
  const std::byte* const record = Fetched(states_ + sequence * bytes, bytes);
  return {record, record + bytes};
}

bool ModelRunner::RecordIs(int sequence, const std::vector<std::byte>& record) const {
  const int64_t bytes = model_.state_layout().bytes;
  return static_cast<int64_t>(record.size()) == bytes &&
         std::memcmp(Fetched(states_ + sequence * bytes, bytes), record.data(), record.size()) == 0;
}

std::vector<float> ModelRunner::KeyValue(int sequence, int attention_layer, int plane,
                                         int64_t token) const {
  const KvLayout& kv = model_.kv_layout();
  const int64_t num_pages = static_cast<int64_t>(seen_.size()) * pages_per_sequence_;
  const int64_t page = page_table_[sequence * pages_per_sequence_ + token / options_.page_tokens];
  std::vector<float> values;
  for (int h = 0; h < kv.num_kv_heads; ++h) {
    const int64_t block = ((attention_layer * 2 + plane) * num_pages + page) * kv.num_kv_heads + h;
    const int64_t at = (block * options_.page_tokens + token % options_.page_tokens) * kv.head_dim;
    const std::vector<float> head =
        Widened(Fetched(pages_ + at * DTypeBytes(kv.dtype), kv.head_dim * DTypeBytes(kv.dtype)),
                kv.dtype, kv.head_dim);
    values.insert(values.end(), head.begin(), head.end());
  }
  return values;
}

}  // namespace skein
