#include "kernels/mix_logits/mix_logits.h"

#include "kernels/device/check_args.h"

namespace skein {
namespace {

// Columns that a thread takes at once: a part of a row that stays in the first-level cache.
constexpr int64_t kColumns = 2048;

}  // namespace

absl::Status MixLogitsArgs::Validate() const {
  return ArgsCheck("mix_logits")
      .That(logits.rank() == 2, "logits must have two dimensions")
      .That(group_begin.rank() == 1 && group_begin.dim(0) >= 1,
            "group_begin must have one dimension, and an end")
      .That(rows.rank() == 1, "rows must have one dimension")
      .Shape("weights", weights, rows.shape())
      .status();
}

void MixLogitsRef(const MixLogitsArgs& args) {
  for (int64_t g = 0; g + 1 < args.group_begin.dim(0); ++g) {
    const int32_t begin = args.group_begin[g], end = args.group_begin[g + 1];
    for (int64_t i = 0; begin < end && i < args.logits.dim(1); ++i) {
      double sum = 0;
      for (int32_t k = begin; k < end; ++k) {
        sum += static_cast<double>(args.weights[k]) * args.logits.row(args.rows[k])[i];
      }
      args.logits.row(args.rows[begin])[i] = static_cast<float>(sum);
    }
  }
}

void MixLogitsCpu(const MixLogitsArgs& args, ParallelFor& threads) {
  threads.Run(args.logits.dim(1), kColumns, [&](int64_t from, int64_t to) {
    for (int64_t g = 0; g + 1 < args.group_begin.dim(0); ++g) {
      const int32_t begin = args.group_begin[g], end = args.group_begin[g + 1];
      if (begin == end) continue;
      float* const sum = args.logits.row(args.rows[begin]);
      for (int64_t i = from; i < to; ++i) sum[i] *= args.weights[begin];
      for (int32_t k = begin + 1; k < end; ++k) {
        const float* const row = args.logits.row(args.rows[k]);
        const float weight = args.weights[k];
        for (int64_t i = from; i < to; ++i) sum[i] += weight * row[i];
      }
    }
  });
}

}  // namespace skein
