#include "kernels/wkv7/wkv7.h"

#include <array>
#include <vector>

#include "kernels/cpu/isa.h"
#include "kernels/device/check_args.h"
#include "kernels/wkv7/wkv7_lanes.h"

namespace skein {
namespace {

// A head's vector with zeros behind it.
struct PaddedVector {
  alignas(64) std::array<float, kMaxHeadSize> values;
  const float* Fill(const float* x, int64_t n) {
    std::copy_n(x, n, values.begin());
    std::fill(values.begin() + n, values.begin() + PaddedHead(n), 0.0f);
    return values.data();
  }
};

void RunHead(const Wkv7Args& args, int64_t sequence, int64_t head) {
  const int64_t n = args.r.dim(2);
  PaddedVector r, w, k, q, b;
  Wkv7StepCall call;
  call.n = n;
  call.state = args.state.slot(args.sequences.slots[sequence]) + head * n * n;
  for (int64_t m = args.sequences.begin(sequence); m < args.sequences.end(sequence); ++m) {
    const int64_t at = (m * args.r.dim(1) + head) * n;
    call.r = r.Fill(args.r.data() + at, n);
    call.w = w.Fill(args.w.data() + at, n);
    call.k = k.Fill(args.k.data() + at, n);
    call.q = q.Fill(args.q.data() + at, n);
    call.b = b.Fill(args.b.data() + at, n);
    call.v = args.v.data() + at;
    call.y = args.y.data() + at;
    SKEIN_ISA(Wkv7Step)(call);
  }
}

void RunHeadRef(const Wkv7Args& args, int64_t sequence, int64_t head) {
  const int64_t n = args.r.dim(2);
  float* stored = args.state.slot(args.sequences.slots[sequence]) + head * n * n;
  std::vector<double> state(stored, stored + n * n);
  for (int64_t m = args.sequences.begin(sequence); m < args.sequences.end(sequence); ++m) {
    const int64_t at = (m * args.r.dim(1) + head) * n;
    for (int64_t i = 0; i < n; ++i) {
      double* row = state.data() + i * n;
      double z = 0, y = 0;
      for (int64_t j = 0; j < n; ++j) z += row[j] * args.q[at + j];
      for (int64_t j = 0; j < n; ++j) {
        row[j] = row[j] * args.w[at + j] - z * args.b[at + j] +
                 static_cast<double>(args.v[at + i]) * args.k[at + j];
        y += row[j] * args.r[at + j];
      }
      args.y[at + i] = static_cast<float>(y);
    }
  }
  for (int64_t i = 0; i < n * n; ++i) stored[i] = static_cast<float>(state[i]);
}

}  // namespace

absl::Status Wkv7Args::Validate() const {
  ArgsCheck check("wkv7");
  check
      .That(!r.empty() && r.rank() == 3 && r.dim(2) <= kMaxHeadSize,
            "r must be [rows, H, N], N <= 512")
      .That(state.base != nullptr, "state: missing")
      .That(state.dtype == DType::kF32 || !positions.empty(), "positions: missing, with fp16 state")
      .That(sequences.row_begin.dim(0) == sequences.count() + 1, "row_begin does not fit slots");
  if (!check.status().ok()) return check.status();
  const Shape& shape = r.shape();
  return check.Shape("w", w, shape)
      .Shape("k", k, shape)
      .Shape("v", v, shape)
      .Shape("q", q, shape)
      .Shape("b", b, shape)
      .Shape("y", y, shape)
      .status();
}

void Wkv7Ref(const Wkv7Args& args) {
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    for (int64_t h = 0; h < args.r.dim(1); ++h) RunHeadRef(args, s, h);
  }
}

void Wkv7Cpu(const Wkv7Args& args, ParallelFor& threads) {
  const int64_t heads = args.r.dim(1);
  threads.Run(args.sequences.count() * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) RunHead(args, i / heads, i % heads);
  });
}

}  // namespace skein
