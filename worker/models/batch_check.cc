#include "worker/models/batch_check.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/device/check_args.h"
#include "worker/adapters/bound_adapter.h"

namespace skein {
namespace {

absl::Status Bad(absl::string_view array, int64_t index, int64_t value, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("batch: ", array, "[", index, "] is ", value, ", ", rule));
}

absl::Status CheckShapes(const ModelBatch& batch, const BatchLimits& limits) {
  if (batch.tokens.rank() != 1 || batch.slots.rank() != 1 || batch.logit_rows.rank() != 1) {
    return absl::InvalidArgumentError(
        "batch: tokens, slots and logit_rows must have one dimension");
  }
  const int64_t rows = batch.num_rows(), sequences = batch.num_sequences();
  const int64_t outputs = batch.logit_rows.dim(0);
  return ArgsCheck("batch")
      .That(rows > 0, "no rows")
      .That(rows <= limits.max_rows, absl::StrCat(rows, " rows, at most ", limits.max_rows))
      .Shape("positions", batch.positions, {rows})
      .Shape("row_begin", batch.row_begin, {sequences + 1})
      .Shape("logits", batch.logits, {outputs, limits.vocab_size})
      .That(batch.state.base != nullptr, "no state pool")
      .That(!limits.needs_pages || (batch.kv.base != nullptr && batch.kv.page_tokens > 0),
            "no page pool")
      .That(!limits.needs_pages || (batch.pages.rank() == 2 && batch.pages.dim(0) == sequences),
            "pages must be [sequences, max_pages]")
      .status();
}

absl::Status CheckRows(const ModelBatch& batch, const BatchLimits& limits) {
  for (int64_t m = 0; m < batch.num_rows(); ++m) {
    if (batch.tokens[m] < 0 || batch.tokens[m] >= limits.vocab_size) {
      return Bad("tokens", m, batch.tokens[m],
                 absl::StrCat("the vocabulary has ", limits.vocab_size));
    }
    if (batch.positions[m] < 0) return Bad("positions", m, batch.positions[m], "below 0");
  }
  for (int64_t i = 0; i < batch.logit_rows.dim(0); ++i) {
    const int64_t row = batch.logit_rows[i];
    if (row < 0 || row >= batch.num_rows() || (i > 0 && row <= batch.logit_rows[i - 1])) {
      return Bad("logit_rows", i, row, "must ascend within the rows");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPages(const ModelBatch& batch, int64_t sequence, int64_t last_position) {
  const int64_t needed = last_position / batch.kv.page_tokens + 1;
  if (needed > batch.pages.dim(1)) {
    return Bad("positions", batch.row_begin[sequence + 1] - 1, last_position,
               absl::StrCat("beyond the ", batch.pages.dim(1), " pages of its sequence"));
  }
  for (int64_t i = 0; i < needed; ++i) {
    const int64_t page = batch.pages.row(sequence)[i];
    if (page < 0 || page >= batch.kv.num_pages) {
      return Bad("pages", sequence, page, absl::StrCat("the pool has ", batch.kv.num_pages));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSequences(const ModelBatch& batch, const BatchLimits& limits) {
  if (batch.row_begin[0] != 0 || batch.row_begin[batch.num_sequences()] != batch.num_rows()) {
    return absl::InvalidArgumentError("batch: row_begin must go from 0 to the number of rows");
  }
  absl::flat_hash_set<int32_t> slots;
  for (int64_t s = 0; s < batch.num_sequences(); ++s) {
    const int64_t begin = batch.row_begin[s], end = batch.row_begin[s + 1];
    if (end <= begin || end > batch.num_rows()) {
      return Bad("row_begin", s + 1, end, "must ascend within the rows");
    }
    if (batch.slots[s] < 0) return Bad("slots", s, batch.slots[s], "below 0");
    if (!slots.insert(batch.slots[s]).second) {
      return Bad("slots", s, batch.slots[s], "which an earlier sequence has");
    }
    for (int64_t m = begin + 1; m < end; ++m) {
      if (batch.positions[m] != batch.positions[m - 1] + 1) {
        return Bad("positions", m, batch.positions[m], "must follow the row before");
      }
    }
    if (limits.needs_pages) RETURN_IF_ERROR(CheckPages(batch, s, batch.positions[end - 1]));
  }
  return absl::OkStatus();
}

absl::Status CheckAdapters(const ModelBatch& batch, const BatchLimits& limits) {
  int64_t free = 0;  // the first sequence that is in no group yet
  for (size_t i = 0; i < batch.adapters.size(); ++i) {
    const AdapterRows& rows = batch.adapters[i];
    const int64_t end = rows.first_sequence + rows.num_sequences;
    const bool again = i > 0 && rows.first_sequence == batch.adapters[i - 1].first_sequence &&
                       rows.num_sequences == batch.adapters[i - 1].num_sequences;
    const int64_t begin = again ? free : rows.first_sequence;
    if (begin < free || rows.num_sequences < 1 || end > batch.num_sequences()) {
      return Bad("adapters", static_cast<int64_t>(i), rows.first_sequence,
                 "must ascend within the sequences");
    }
    free = end;
    if (rows.adapter == nullptr ||
        static_cast<int64_t>(rows.adapter->modules.size()) != limits.adapter_places) {
      return absl::InvalidArgumentError("batch: an adapter of another model");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFactors(const ModelBatch& batch) {
  int64_t free = 0;  // the first sequence that has none yet
  for (size_t i = 0; i < batch.factors.size(); ++i) {
    const int64_t sequence = batch.factors[i].sequence;
    if (sequence < free || sequence >= batch.num_sequences()) {
      return Bad("factors", static_cast<int64_t>(i), sequence, "must ascend within the sequences");
    }
    free = sequence + 1;
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckBatch(const ModelBatch& batch, const BatchLimits& limits, const Stream& stream) {
  RETURN_IF_ERROR(CheckShapes(batch, limits));
  if (!stream.on_cpu()) {
    if (!batch.factors.empty()) return absl::UnimplementedError("batch: factors on a GPU");
    return batch.adapters.empty() ? absl::OkStatus()
                                  : absl::UnimplementedError("batch: adapters on a GPU");
  }
  RETURN_IF_ERROR(CheckRows(batch, limits));
  RETURN_IF_ERROR(CheckSequences(batch, limits));
  RETURN_IF_ERROR(CheckFactors(batch));
  return CheckAdapters(batch, limits);
}

}  // namespace skein
