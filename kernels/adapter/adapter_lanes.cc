#include "kernels/adapter/adapter_lanes.h"

#include "kernels/cpu/vec.h"

namespace skein::SKEIN_ISA_NAMESPACE {

void ScaleRow(const float* x, const float* c, int64_t n, float* y) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i;
    StoreUpTo(y + i, Mul(LoadUpTo(x + i, left), LoadUpTo(c + i, left)), left);
  }
}

void AddScaledRow(const float* x, float s, int64_t n, float* y) {
  const Vec scale = Broadcast(s);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i;
    StoreUpTo(y + i, Fma(scale, LoadUpTo(x + i, left), LoadUpTo(y + i, left)), left);
  }
}

void AddScaledThenScaleRow(const float* x, float s, const float* c, int64_t n, float* y) {
  const Vec scale = Broadcast(s);
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t left = n - i;
    const Vec sum = Fma(scale, LoadUpTo(x + i, left), LoadUpTo(y + i, left));
    StoreUpTo(y + i, Mul(sum, LoadUpTo(c + i, left)), left);
  }
}

}  // namespace skein::SKEIN_ISA_NAMESPACE
