#include "kernels/kv_append/kv_append.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"

namespace skein {
namespace {

void AppendRow(const KvAppendArgs& args, int64_t row) {
  const int64_t n = args.pages.head_dim;
  const int64_t sequence = args.sequences.Find(row);
  for (int64_t h = 0; h < args.pages.kv_heads; ++h) {
    const int64_t at = args.pages.Offset(sequence, args.positions[row], h);
    const float* k = args.k.row(row) + h * n;
    if (args.k_norm.empty()) {
      std::copy_n(k, n, args.pages.key_floats() + at);
    } else {
      SKEIN_ISA(RmsNormRow)(k, args.k_norm.data(), args.norm_eps, n, args.pages.key_floats() + at);
    }
    std::copy_n(args.v.row(row) + h * n, n, args.pages.value_floats() + at);
  }
  if (args.q_norm.empty()) return;
  for (int64_t c = 0; c < args.q.dim(1); c += n) {
    float* q = args.q.row(row) + c;
    SKEIN_ISA(RmsNormRow)(q, args.q_norm.data(), args.norm_eps, n, q);
  }
}

}  // namespace

absl::Status KvAppendArgs::Validate() const {
  ArgsCheck check("kv_append");
  check.That(!q.empty() && q.rank() == 2, "q must be [rows, H * N]")
      .That(pages.keys != nullptr && pages.values != nullptr && !pages.table.empty(), "no pages")
      .That(pages.page_tokens > 0 && pages.head_dim > 0, "empty pages")
      .That(q_norm.empty() == k_norm.empty(), "q_norm and k_norm come together");
  if (!check.status().ok()) return check.status();
  const Shape narrow = {q.dim(0), pages.kv_heads * pages.head_dim};
  return check.That(q.dim(1) % pages.head_dim == 0, "q must be whole heads")
      .Shape("k", k, narrow)
      .Shape("v", v, narrow)
      .Shape("positions", positions, {q.dim(0)})
      .OptionalShape("q_norm", q_norm, {pages.head_dim})
      .OptionalShape("k_norm", k_norm, {pages.head_dim})
      .status();
}

void KvAppendCpu(const KvAppendArgs& args, ParallelFor& threads) {
  threads.Run(args.q.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) AppendRow(args, m);
  });
}

}  // namespace skein
