#include "kernels/paged_attention/paged_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/device/check_args.h"
#include "kernels/paged_attention/paged_attention_lanes.h"

namespace skein {
namespace {

using Args = PagedAttentionArgs;

void RunRow(const Args& args, int64_t row, int64_t kv_head) {
  const int64_t n = args.pages.head_dim;
  AttentionCall call;
  call.head_dim = n;
  call.heads = args.q.dim(1) / n / args.pages.kv_heads;
  call.tokens = int64_t{args.positions[row]} + 1;
  call.scale = 1.0f / std::sqrt(static_cast<float>(n));
  call.q = args.q.row(row) + kv_head * call.heads * n;
  call.keys = args.pages.key_floats() + kv_head * args.pages.page_tokens * n;
  call.values = args.pages.value_floats() + kv_head * args.pages.page_tokens * n;
  call.pages = args.pages.table.row(args.sequences.Find(row));
  call.page_tokens = args.pages.page_tokens;
  call.page_stride = args.pages.page_elements();
  call.y = args.y.row(row) + kv_head * call.heads * n;
  SKEIN_ISA(AttendRow)(call);
}

void RunHeadRef(const Args& args, int64_t row, int64_t head) {
  const int64_t n = args.pages.head_dim;
  const int64_t kv_head = head / (args.q.dim(1) / n / args.pages.kv_heads);
  const int64_t sequence = args.sequences.Find(row);
  const float* q = args.q.row(row) + head * n;
  const int64_t tokens = int64_t{args.positions[row]} + 1;
  std::vector<double> weights(tokens);
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t t = 0; t < tokens; ++t) {
    const float* key = args.pages.key_floats() + args.pages.Offset(sequence, t, kv_head);
    for (int64_t i = 0; i < n; ++i) weights[t] += static_cast<double>(q[i]) * key[i];
    weights[t] /= std::sqrt(static_cast<double>(n));
    largest = std::max(largest, weights[t]);
  }
  std::vector<double> out(n);
  double sum = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const float* value = args.pages.value_floats() + args.pages.Offset(sequence, t, kv_head);
    const double weight = std::exp(weights[t] - largest);
    sum += weight;
    for (int64_t i = 0; i < n; ++i) out[i] += weight * value[i];
  }
  for (int64_t i = 0; i < n; ++i) args.y.row(row)[head * n + i] = static_cast<float>(out[i] / sum);
}

}  // namespace

absl::Status PagedAttentionArgs::Validate() const {
  ArgsCheck check("paged_attention");
  check.That(!q.empty() && q.rank() == 2, "q must be [rows, H * N]")
      .That(pages.keys != nullptr && pages.values != nullptr && !pages.table.empty(), "no pages")
      .That(pages.page_tokens > 0 && pages.kv_heads > 0 && pages.head_dim > 0, "empty pages");
  if (!check.status().ok()) return check.status();
  const int64_t group = pages.kv_heads * pages.head_dim;
  return check
      .That(q.dim(1) % group == 0 && q.dim(1) / group <= kMaxHeadGroup,
            "query heads must be a multiple of the key-value heads")
      .Shape("positions", positions, {q.dim(0)})
      .Shape("y", y, q.shape())
      .status();
}

void PagedAttentionRef(const PagedAttentionArgs& args) {
  for (int64_t m = 0; m < args.q.dim(0); ++m) {
    for (int64_t h = 0; h < args.q.dim(1) / args.pages.head_dim; ++h) RunHeadRef(args, m, h);
  }
}

void PagedAttentionCpu(const PagedAttentionArgs& args, ParallelFor& threads) {
  const int64_t kv_heads = args.pages.kv_heads;
  threads.Run(args.q.dim(0) * kv_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RunRow(args, i / kv_heads, i % kv_heads);
  });
}

}  // namespace skein
