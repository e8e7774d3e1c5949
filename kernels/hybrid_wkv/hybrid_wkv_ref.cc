// The reference of hybrid_wkv: plain loops in double precision.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/reference.h"
#include "kernels/hybrid_wkv/hybrid_wkv.h"
#include "kernels/linear/linear.h"
#include "kernels/wkv7/wkv7.h"

namespace skein {
namespace {

using Args = HybridWkvArgs;

// x[head] of one row after norm and rotation.
std::vector<double> Rotated(const Args& args, const float* x, const TensorView<const float>& norm,
                            int64_t row) {
  const int64_t n = args.r_k.dim(1);
  std::vector<double> values(x, x + n);
  if (!norm.empty()) {
    double squares = 0;
    for (const double value : values) squares += value * value;
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + args.norm_eps);
    for (int64_t i = 0; i < n; ++i) values[i] *= scale * norm[i];
  }
  std::vector<double> out(n);
  for (int64_t i = 0; i < n / 2; ++i) {
    const double c = args.cosines.row(row)[i], s = args.sines.row(row)[i];
    out[i] = values[i] * c - values[i + n / 2] * s;
    out[i + n / 2] = values[i + n / 2] * c + values[i] * s;
  }
  return out;
}

struct RefInputs {
  explicit RefInputs(int64_t size) : r(size), w(size), k(size), v(size), q(size), b(size) {}
  std::vector<float> r, w, k, v, q, b;
};

void PrepareHead(const Args& args, int64_t row, int64_t head, RefInputs& in) {
  const int64_t n = args.r_k.dim(1);
  const int64_t group = args.r.dim(1) / args.k.dim(1);
  const int64_t c = head * n, e = head / group * n;
  const int64_t at = row * args.r.dim(1) + c;
  const std::vector<double> r = Rotated(args, args.r.row(row) + c, args.r_norm, row);
  std::vector<double> k = Rotated(args, args.k.row(row) + e, args.k_norm, row);
  std::vector<double> v(args.v.row(row) + e, args.v.row(row) + e + n);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) {
    float& k_first = args.k_first.row(row)[e + i];
    float& v_first = args.v_first.row(row)[e + i];
    if (args.k2.empty()) {
      k_first = static_cast<float>(k[i]);
      v_first = static_cast<float>(v[i]);
    } else {
      k[i] += (k_first - k[i]) * args.k_mix.row(row)[e + i];
      v[i] += (v_first - v[i]) * args.v_mix.row(row)[e + i];
    }
    squares += k[i] * k[i];
  }
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (int64_t i = 0; i < n; ++i) {
    const double a = args.a[at + i];
    const double omega = -SoftplusRef(-static_cast<double>(args.u[at + i])) - 0.5;
    in.r[at + i] = static_cast<float>(r[i]);
    in.w[at + i] = static_cast<float>(std::exp(-std::exp(omega)));
    in.k[at + i] = static_cast<float>(k[i] * (1 - omega + a));
    in.v[at + i] = static_cast<float>(v[i]);
    in.q[at + i] = static_cast<float>(k[i] / length);
    in.b[at + i] = static_cast<float>(k[i] / length * a);
  }
}

void ScaleRows(const Args& args) {
  for (int64_t s = 0; s < static_cast<int64_t>(args.factors.size()); ++s) {
    if (args.factors[s] == nullptr) continue;
    for (int64_t m = args.sequences.begin(s); m < args.sequences.end(s); ++m) {
      for (int64_t c = 0; c < args.r.dim(1); ++c) args.y.row(m)[c] *= args.factors[s][c];
    }
  }
}

void FinishHead(const Args& args, int64_t row, int64_t head, const RefInputs& in) {
  const int64_t n = args.r_k.dim(1);
  const int64_t at = row * args.r.dim(1) + head * n;
  double bonus = 0;
  for (int64_t i = 0; i < n; ++i) {
    bonus += static_cast<double>(in.r[at + i]) * in.k[at + i] * args.r_k[head * n + i];
  }
  for (int64_t i = 0; i < n; ++i) {
    const double y = args.y[at + i] / std::sqrt(static_cast<double>(n)) + bonus * in.v[at + i];
    args.y[at + i] = static_cast<float>(y * args.g[at + i]);
  }
}

}  // namespace

void HybridWkvRef(const HybridWkvArgs& args) {
  ProjectRef({args.w2, args.w0, Activation::kNone, args.w_rank, args.u});
  ProjectRef({args.a2, args.a0, Activation::kSigmoid, args.a_rank, args.a});
  ProjectRef({args.g2, {}, Activation::kNone, args.g_rank, args.g});
  if (!args.k2.empty()) {
    ProjectRef({args.k2, args.k0, Activation::kSigmoid, args.k_rank, args.k_mix});
    ProjectRef({args.v2, args.v0, Activation::kSigmoid, args.v_rank, args.v_mix});
  }
  const int64_t rows = args.r.dim(0), heads = args.r_k.dim(0);
  RefInputs in(args.r.size());
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t h = 0; h < heads; ++h) PrepareHead(args, m, h, in);
  }
  const Shape shape = {rows, heads, args.r_k.dim(1)};
  const auto view = [&](const std::vector<float>& x) {
    return TensorView<const float>(x.data(), shape);
  };
  Wkv7Ref({view(in.r), view(in.w), view(in.k), view(in.v), view(in.q), view(in.b), args.positions,
           args.sequences, args.state, TensorView<float>(args.y.floats(), shape)});
  ScaleRows(args);
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t h = 0; h < heads; ++h) FinishHead(args, m, h, in);
  }
}

}  // namespace skein
