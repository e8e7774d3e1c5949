#include "kernels/time_mix_wkv/time_mix_wkv.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "kernels/device/check_args.h"
#include "kernels/time_mix_wkv/products.h"
#include "kernels/time_mix_wkv/time_mix_wkv_lanes.h"
#include "kernels/wkv7/wkv7.h"
#include "kernels/wkv7/wkv7_lanes.h"

namespace skein {
namespace {

using Args = TimeMixWkvArgs;

void RunHead(const Args& args, int64_t sequence, int64_t head) {
  const int64_t n = args.r_k.dim(1);
  const int64_t c = head * n;
  TimeMixHeadCall call;
  call.n = n;
  call.k_k = args.k_k.data() + c;
  call.k_a = args.k_a.data() + c;
  call.r_k = args.r_k.data() + c;
  call.norm_weight = args.norm_weight.data() + c;
  call.norm_bias = args.norm_bias.data() + c;
  call.norm_eps = args.norm_eps;
  if (!args.factors.empty() && args.factors[sequence] != nullptr) {
    call.factor = args.factors[sequence] + c;
  }
  call.state = args.state.slot(args.sequences.slots[sequence]) + c * n;
  for (int64_t m = args.sequences.begin(sequence); m < args.sequences.end(sequence); ++m) {
    call.r = args.r.row(m) + c;
    call.k = args.k.row(m) + c;
    call.v = args.v.row(m) + c;
    call.w = args.w.row(m) + c;
    call.a = args.a.row(m) + c;
    call.g = args.g.row(m) + c;
    call.v_mix = args.v_mix.empty() ? nullptr : args.v_mix.row(m) + c;
    call.v_first = args.v_first.row(m) + c;
    call.y = args.y.row(m) + c;
    SKEIN_ISA(TimeMixHead)(call);
  }
}

// What Wkv7 reads, built in double precision and rounded once.
struct RefInputs {
  explicit RefInputs(const Args& args) : size(args.r.size()), k(size), v(size), q(size), b(size) {}
  int64_t size;
  std::vector<float> k, v, q, b;
};

void PrepareRef(const Args& args, RefInputs& in) {
  const int64_t n = args.r_k.dim(1);
  const int64_t width = args.r.dim(1);
  for (int64_t at = 0; at < in.size; at += n) {
    const int64_t channel = at % width;
    double squares = 0;
    for (int64_t j = 0; j < n; ++j) {
      squares += std::pow(static_cast<double>(args.k[at + j]) * args.k_k[channel + j], 2);
    }
    const double length = std::max(std::sqrt(squares), 1e-12);
    for (int64_t j = 0; j < n; ++j) {
      const double k = args.k[at + j], a = args.a[at + j], v = args.v[at + j];
      const double q = k * args.k_k[channel + j] / length;
      if (args.v_mix.empty()) args.v_first[at + j] = args.v[at + j];
      const double mix = args.v_mix.empty() ? 0.0 : args.v_mix[at + j];
      in.k[at + j] = static_cast<float>(k * (1 + (a - 1) * args.k_a[channel + j]));
      in.v[at + j] = static_cast<float>(v + (args.v_first[at + j] - v) * mix);
      in.q[at + j] = static_cast<float>(q);
      in.b[at + j] = static_cast<float>(q * a);
    }
  }
}

void ScaleRef(const Args& args) {
  for (int64_t s = 0; s < static_cast<int64_t>(args.factors.size()); ++s) {
    if (args.factors[s] == nullptr) continue;
    for (int64_t m = args.sequences.begin(s); m < args.sequences.end(s); ++m) {
      for (int64_t c = 0; c < args.r.dim(1); ++c) args.y.row(m)[c] *= args.factors[s][c];
    }
  }
}

void FinishRef(const Args& args, const RefInputs& in) {
  const int64_t n = args.r_k.dim(1);
  const int64_t width = args.r.dim(1);
  for (int64_t at = 0; at < in.size; at += n) {
    const int64_t channel = at % width;
    double bonus = 0;
    for (int64_t j = 0; j < n; ++j) {
      bonus += static_cast<double>(args.r[at + j]) * in.k[at + j] * args.r_k[channel + j];
    }
    float* y = args.y.floats() + at;
    LayerNormRef(y, args.norm_weight.data() + channel, args.norm_bias.data() + channel,
                 args.norm_eps, n, y);
    for (int64_t j = 0; j < n; ++j) {
      y[j] = static_cast<float>((y[j] + bonus * in.v[at + j]) * args.g[at + j]);
    }
  }
}

}  // namespace

absl::InlinedVector<Projection, 4> TimeMixWkvProducts(const TimeMixWkvArgs& args) {
  absl::InlinedVector<Projection, 4> all = {
      {args.w2, args.w0, Activation::kDecay, args.w_rank, args.w},
      {args.a2, args.a0, Activation::kSigmoid, args.a_rank, args.a},
      {args.g2, {}, Activation::kNone, args.g_rank, args.g},
  };
  if (!args.v2.empty()) {
    all.push_back({args.v2, args.v0, Activation::kSigmoid, args.v_rank, args.v_mix});
  }
  return all;
}

absl::Status TimeMixWkvArgs::Validate() const {
  ArgsCheck check("time_mix_wkv");
  check.That(r_k.rank() == 2 && r_k.dim(1) <= kMaxHeadSize, "r_k must be [H, N], N <= 512")
      .That(!r.empty() && r.rank() == 2, "r must be [rows, A]")
      .That(state.base != nullptr, "state: missing")
      .That(sequences.row_begin.dim(0) == sequences.count() + 1, "row_begin does not fit slots")
      .That(state.dtype == DType::kF32 || !positions.empty(), "positions: missing, with fp16 state")
      .That(factors.empty() || static_cast<int64_t>(factors.size()) == sequences.count(),
            "factors: expected one for each sequence")
      .That(v2.empty() == v_mix.empty(), "v2 and v_mix come together");
  if (!check.status().ok()) return check.status();
  const int64_t width = r_k.size();
  const Shape wide = {r.dim(0), width};
  check.Shape("r", r, wide).Shape("k", k, wide).Shape("v", v, wide).Shape("y", y, wide);
  check.Shape("v_first", v_first, wide).Shape("k_k", k_k, {width}).Shape("k_a", k_a, {width});
  check.Shape("norm_weight", norm_weight, {width}).Shape("norm_bias", norm_bias, {width});
  for (const Projection& p : TimeMixWkvProducts(*this)) {
    check.Also("product", p.Validate()).Shape("product", p.y, wide);
  }
  return check.status();
}

void TimeMixWkvRef(const TimeMixWkvArgs& args) {
  for (const Projection& p : TimeMixWkvProducts(args)) ProjectRef(p);
  RefInputs in(args);
  PrepareRef(args, in);
  const Shape heads = {args.r.dim(0), args.r_k.dim(0), args.r_k.dim(1)};
  const auto view = [&](const float* data) { return TensorView<const float>(data, heads); };
  Wkv7Ref({view(args.r.floats()), view(args.w.floats()), view(in.k.data()), view(in.v.data()),
           view(in.q.data()), view(in.b.data()), args.positions, args.sequences, args.state,
           TensorView<float>(args.y.floats(), heads)});
  ScaleRef(args);
  FinishRef(args, in);
}

void TimeMixWkvCpu(const TimeMixWkvArgs& args, ParallelFor& threads) {
  ProjectCpu(TimeMixWkvProducts(args), threads);
  const int64_t heads = args.r_k.dim(0);
  threads.Run(args.sequences.count() * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RunHead(args, i / heads, i % heads);
  });
}

}  // namespace skein
