#include "tests/testing/fake_model.h"

#include <cstring>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

constexpr int kHeadDim = 2;  // token, position

uint64_t Mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) + 0x9E3779B97F4A7C15;
  hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9;
  hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EB;
  return hash ^ (hash >> 31);
}

uint64_t MixCell(uint64_t hash, int plane, uint64_t token, uint64_t position) {
  return Mix(Mix(Mix(hash, static_cast<uint64_t>(plane)), token), position);
}

void WriteLogits(uint64_t hash, std::span<float> logits) {
  for (size_t token = 0; token < logits.size(); ++token) {
    logits[token] = static_cast<float>(Mix(hash, token) >> 40) * 0x1p-21f;  // [0, 8)
  }
}

}  // namespace

struct FakeModel::Record {
  uint64_t hash = 0;
  int64_t count = 0;
};

FakeModel::FakeModel(Options options) : options_(std::move(options)) {
  description_ = {
      .architecture = "fake", .weight_format = "none", .vocab_size = options_.vocab_size};
  state_layout_.fields = {
      {.name = "history", .layer = 0, .offset = 0, .shape = {2}, .dtype = DType::kI64}};
  state_layout_.bytes = sizeof(Record);
  kv_layout_ = {.num_layers = options_.num_kv_layers,
                .num_kv_heads = 1,
                .head_dim = kHeadDim,
                .dtype = DType::kF32};
}

absl::Status FakeModel::Forward(const ModelBatch& batch, const Stream&) {
  if (options_.on_forward) RETURN_IF_ERROR(options_.on_forward(batch));
  RETURN_IF_ERROR(CheckBatch(batch));
  int64_t next_output = 0;
  for (int64_t i = 0; i < batch.num_sequences(); ++i) {
    RETURN_IF_ERROR(ForwardSequence(batch, i, next_output));
  }
  if (next_output != batch.logit_rows.dim(0)) {
    return absl::InvalidArgumentError("logit_rows: not ascending");
  }
  return absl::OkStatus();
}

absl::Status FakeModel::CheckBatch(const ModelBatch& batch) const {
  const std::set<int32_t> slots(batch.slots.data(), batch.slots.data() + batch.num_sequences());
  if (slots.contains(0) || static_cast<int64_t>(slots.size()) != batch.num_sequences()) {
    return absl::InvalidArgumentError("slots: the zero slot, or one twice");
  }
  if (batch.row_begin[0] != 0 || batch.row_begin[batch.num_sequences()] != batch.num_rows()) {
    return absl::InvalidArgumentError("row_begin: does not cover the rows");
  }
  if (batch.positions.dim(0) != batch.num_rows() ||
      batch.logits.dim(0) != batch.logit_rows.dim(0)) {
    return absl::InvalidArgumentError("positions or logits: wrong shape");
  }
  return absl::OkStatus();
}

absl::Status FakeModel::ForwardSequence(const ModelBatch& batch, int64_t sequence,
                                        int64_t& next_output) {
  Record& record = static_cast<Record*>(batch.state.base)[batch.slots[sequence]];
  for (int32_t row = batch.row_begin[sequence]; row < batch.row_begin[sequence + 1]; ++row) {
    if (batch.positions[row] != record.count) {
      return absl::InvalidArgumentError(absl::StrCat("row ", row, ": position ",
                                                     batch.positions[row], ", its state stands at ",
                                                     record.count));
    }
    record.hash = Mix(record.hash, static_cast<uint64_t>(batch.tokens[row]) + 1);
    for (int plane = 0; plane < 2 * options_.num_kv_layers; ++plane) {
      float* cell = Cell(batch, sequence, plane, record.count);
      cell[0] = static_cast<float>(batch.tokens[row]);
      cell[1] = static_cast<float>(batch.positions[row]);
    }
    ++record.count;
    if (next_output < batch.logit_rows.dim(0) && batch.logit_rows[next_output] == row) {
      const std::span<float> logits(batch.logits.row(next_output),
                                    static_cast<size_t>(options_.vocab_size));
      WriteLogits(record.hash ^ ReadPages(batch, sequence, record.count), logits);
      if (options_.on_logits) options_.on_logits(record.count, logits);
      ++next_output;
    }
  }
  return absl::OkStatus();
}

float* FakeModel::Cell(const ModelBatch& batch, int64_t sequence, int plane,
                       int64_t position) const {
  const int64_t page = batch.pages.row(sequence)[position / batch.kv.page_tokens];
  const int64_t cell =
      (plane * batch.kv.num_pages + page) * batch.kv.page_tokens + position % batch.kv.page_tokens;
  return static_cast<float*>(batch.kv.base) + cell * kHeadDim;
}

uint64_t FakeModel::ReadPages(const ModelBatch& batch, int64_t sequence, int64_t num_tokens) const {
  uint64_t hash = 0;
  for (int64_t position = 0; position < num_tokens; ++position) {
    for (int plane = 0; plane < 2 * options_.num_kv_layers; ++plane) {
      const float* cell = Cell(batch, sequence, plane, position);
      hash = MixCell(hash, plane, static_cast<uint64_t>(cell[0]), static_cast<uint64_t>(cell[1]));
    }
  }
  return hash;
}

std::shared_ptr<const InitialState> FakeModel::StateOfHash(uint64_t hash) {
  InitialState state{.record = *Arena::Create(sizeof(Record)), .content_hash = ""};
  const Record record = {.hash = hash, .count = 0};
  std::memcpy(state.record->data(), &record, sizeof(record));
  return std::make_shared<const InitialState>(std::move(state));
}

std::vector<float> FakeModel::LogitsAfter(std::span<const int32_t> tokens, const Options& options,
                                          const InitialState* start) {
  uint64_t history = 0, pages = 0;
  if (start != nullptr) history = static_cast<const Record*>(start->record->data())->hash;
  for (size_t position = 0; position < tokens.size(); ++position) {
    history = Mix(history, static_cast<uint64_t>(tokens[position]) + 1);
    for (int plane = 0; plane < 2 * options.num_kv_layers; ++plane) {
      pages = MixCell(pages, plane, static_cast<uint64_t>(tokens[position]), position);
    }
  }
  std::vector<float> logits(options.vocab_size);
  WriteLogits(history ^ pages, logits);
  return logits;
}

}  // namespace skein
