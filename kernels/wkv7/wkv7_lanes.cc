#include "kernels/wkv7/wkv7_lanes.h"

#include "kernels/cpu/vec.h"

namespace skein::SKEIN_ISA_NAMESPACE {
namespace {

// Value channels [first, first + rows) of the state, at most 16. kVecs is the number of lane groups
// in a row, or 0 if it is only known at run time; kWhole says that N fills them.
template <int kVecs, bool kWhole>
SKEIN_INLINE void StepRows(const Wkv7StepCall& call, int64_t first, int64_t rows) {
  const int64_t vecs = kVecs != 0 ? kVecs : PaddedHead(call.n) / kLanes;
  const int64_t tail = call.n - (vecs - 1) * kLanes;  // elements of the last group
  const auto count = [&](int64_t i) { return kWhole || i + 1 < vecs ? int64_t{kLanes} : tail; };
  float* state = call.state + first * call.n;

  Vec sums[kLanes];
  for (int64_t j = rows; j < kLanes; ++j) sums[j] = Zero();
  for (int64_t j = 0; j < rows; ++j) {
    Vec z = Zero();
    for (int64_t i = 0; i < vecs; ++i) {
      z = Fma(LoadUpTo(state + j * call.n + i * kLanes, count(i)), Load(call.q + i * kLanes), z);
    }
    sums[j] = z;
  }
  float z[kLanes];
  Store(z, SumEach(sums));

  for (int64_t j = 0; j < rows; ++j) {
    const Vec minus_z = Broadcast(-z[j]);
    const Vec value = Broadcast(call.v[first + j]);
    Vec y = Zero();
    for (int64_t i = 0; i < vecs; ++i) {
      float* p = state + j * call.n + i * kLanes;
      Vec s = Mul(LoadUpTo(p, count(i)), Load(call.w + i * kLanes));
      s = Fma(minus_z, Load(call.b + i * kLanes), s);
      s = Fma(value, Load(call.k + i * kLanes), s);
      StoreUpTo(p, s, count(i));
      y = Fma(s, Load(call.r + i * kLanes), y);
    }
    sums[j] = y;
  }
  StoreUpTo(call.y + first, SumEach(sums), rows);
}

template <int kVecs, bool kWhole>
void Step(const Wkv7StepCall& call) {
  for (int64_t first = 0; first < call.n; first += kLanes) {
    StepRows<kVecs, kWhole>(call, first, MinOf(kLanes, call.n - first));
  }
}

}  // namespace

void Wkv7Step(const Wkv7StepCall& call) {
  switch (call.n) {
    case 64:
      return Step<4, true>(call);
    case 96:
      return Step<6, true>(call);
    case 128:
      return Step<8, true>(call);
    default:
      return Step<0, false>(call);
  }
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
