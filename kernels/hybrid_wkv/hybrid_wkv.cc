#include "kernels/hybrid_wkv/hybrid_wkv.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/container/inlined_vector.h"

#include "kernels/cpu/isa.h"
#include "kernels/device/check_args.h"
#include "kernels/hybrid_wkv/hybrid_wkv_lanes.h"
#include "kernels/hybrid_wkv/products.h"
#include "kernels/wkv7/wkv7_lanes.h"

namespace skein {
namespace {

using Args = HybridWkvArgs;

const float* DataOrNull(const TensorView<const float>& view) { return view.data(); }

void RunHead(const Args& args, int64_t sequence, int64_t head) {
  const int64_t n = args.r_k.dim(1);
  const int64_t group = args.r.dim(1) / args.k.dim(1);
  const int64_t c = head * n;
  const int64_t e = head / group * n;
  HybridHeadCall call;
  call.n = n;
  call.r_k = args.r_k.data() + c;
  call.r_norm = DataOrNull(args.r_norm);
  call.k_norm = DataOrNull(args.k_norm);
  call.norm_eps = args.norm_eps;
  if (!args.factors.empty() && args.factors[sequence] != nullptr) {
    call.factor = args.factors[sequence] + c;
  }
  call.publish = args.k2.empty() && head % group == 0;
  call.state = args.state.slot(args.sequences.slots[sequence]) + c * n;
  for (int64_t m = args.sequences.begin(sequence); m < args.sequences.end(sequence); ++m) {
    call.r = args.r.row(m) + c;
    call.k = args.k.row(m) + e;
    call.v = args.v.row(m) + e;
    call.u = args.u.row(m) + c;
    call.a = args.a.row(m) + c;
    call.g = args.g.row(m) + c;
    call.cosines = args.cosines.row(m);
    call.sines = args.sines.row(m);
    call.k_mix = args.k_mix.empty() ? nullptr : args.k_mix.row(m) + e;
    call.v_mix = args.v_mix.empty() ? nullptr : args.v_mix.row(m) + e;
    call.k_first = args.k_first.row(m) + e;
    call.v_first = args.v_first.row(m) + e;
    call.y = args.y.row(m) + c;
    SKEIN_ISA(HybridHead)(call);
  }
}

}  // namespace

absl::InlinedVector<Projection, 5> HybridWkvProducts(const HybridWkvArgs& args) {
  absl::InlinedVector<Projection, 5> all = {
      {args.w2, args.w0, Activation::kNone, args.w_rank, args.u},
      {args.a2, args.a0, Activation::kSigmoid, args.a_rank, args.a},
      {args.g2, {}, Activation::kNone, args.g_rank, args.g},
  };
  if (!args.k2.empty()) {
    all.push_back({args.k2, args.k0, Activation::kSigmoid, args.k_rank, args.k_mix});
    all.push_back({args.v2, args.v0, Activation::kSigmoid, args.v_rank, args.v_mix});
  }
  return all;
}

absl::Status HybridWkvArgs::Validate() const {
  ArgsCheck check("hybrid_wkv");
  check
      .That(r_k.rank() == 2 && r_k.dim(1) <= kMaxHeadSize && r_k.dim(1) % 2 == 0,
            "r_k must be [H, N], N even and <= 512")
      .That(!r.empty() && r.rank() == 2, "r must be [rows, C]")
      .That(!k.empty() && k.rank() == 2, "k must be [rows, E]")
      .That(state.base != nullptr, "state: missing")
      .That(sequences.row_begin.dim(0) == sequences.count() + 1, "row_begin does not fit slots")
      .That(factors.empty() || static_cast<int64_t>(factors.size()) == sequences.count(),
            "factors: expected one for each sequence")
      .That(r_norm.empty() == k_norm.empty(), "r_norm and k_norm come together")
      .That(k2.empty() == k_mix.empty() && v2.empty() == v_mix.empty() && k2.empty() == v2.empty(),
            "k2, v2, k_mix and v_mix come together");
  if (!check.status().ok()) return check.status();
  const int64_t rows = r.dim(0), n = r_k.dim(1), heads = r_k.dim(0);
  const Shape wide = {rows, heads * n}, narrow = {rows, k.dim(1)}, angles = {rows, n / 2};
  check
      .That(k.dim(1) > 0 && k.dim(1) % n == 0 && heads * n % k.dim(1) == 0,
            "key width must be whole heads that divide H")
      .Shape("r", r, wide)
      .Shape("y", y, wide)
      .Shape("k", k, narrow)
      .Shape("v", v, narrow)
      .Shape("k_first", k_first, narrow)
      .Shape("v_first", v_first, narrow)
      .Shape("cosines", cosines, angles)
      .Shape("sines", sines, angles)
      .OptionalShape("r_norm", r_norm, {n})
      .OptionalShape("k_norm", k_norm, {n})
      .Shape("u", u, wide)
      .Shape("a", a, wide)
      .Shape("g", g, wide)
      .OptionalShape("k_mix", k_mix, narrow)
      .OptionalShape("v_mix", v_mix, narrow);
  for (const Projection& p : HybridWkvProducts(*this)) check.Also("product", p.Validate());
  return check.status();
}

void HybridWkvCpu(const HybridWkvArgs& args, ParallelFor& threads) {
  ProjectCpu(HybridWkvProducts(args), threads);
  const int64_t heads = args.r_k.dim(0);
  threads.Run(args.sequences.count() * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RunHead(args, i / heads, i % heads);
  });
}

}  // namespace skein
