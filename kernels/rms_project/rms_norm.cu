#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/rms_project/rms_norm.h"

namespace skein {
namespace {

constexpr int kThreads = 256;
constexpr int kQuads = 8;  // of four elements that a thread keeps in registers
constexpr int kMaxWidth = kThreads * kQuads * 4;

struct Params {
  const float* x;
  const float* weight;
  float eps;
  int width;
  void* normed;
};

template <typename T>
__device__ void StoreQuad(T* to, float4 value) {
  if constexpr (sizeof(T) == 4) {
    *reinterpret_cast<float4*>(to) = value;
  } else {
    T four[4] = {cuda::Narrow<T>(value.x), cuda::Narrow<T>(value.y), cuda::Narrow<T>(value.z),
                 cuda::Narrow<T>(value.w)};
    *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(four);
  }
}

// A block per row, which is read once. The width is a multiple of 4 and at most kMaxWidth.
template <typename T>
__global__ void __launch_bounds__(kThreads) RmsNormKernel(const Params p) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const float* x = p.x + static_cast<int64_t>(blockIdx.x) * p.width;
  float4 values[kQuads];
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int c = (i * kThreads + static_cast<int>(threadIdx.x)) * 4;
    if (c >= p.width) break;
    values[i] = *reinterpret_cast<const float4*>(x + c);
    squares += values[i].x * values[i].x + values[i].y * values[i].y + values[i].z * values[i].z +
               values[i].w * values[i].w;
  }
  const float scale = rsqrtf(cuda::BlockSum(squares, scratch) / p.width + p.eps);
  T* normed = static_cast<T*>(p.normed) + static_cast<int64_t>(blockIdx.x) * p.width;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int c = (i * kThreads + static_cast<int>(threadIdx.x)) * 4;
    if (c >= p.width) break;
    const float4 w = __ldg(reinterpret_cast<const float4*>(p.weight + c));
    StoreQuad(normed + c, make_float4(values[i].x * scale * w.x, values[i].y * scale * w.y,
                                      values[i].z * scale * w.z, values[i].w * scale * w.w));
  }
}

// Any width.
template <typename T>
__global__ void __launch_bounds__(kThreads) AnyRmsNormKernel(const Params p) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int64_t at = static_cast<int64_t>(blockIdx.x) * p.width;
  T* normed = static_cast<T*>(p.normed) + at;
  cuda::NormRow(p.x + at, p.weight, nullptr, p.eps, p.width, scratch,
                [&](int c, float value) { normed[c] = cuda::Narrow<T>(value); });
}

template <typename T>
absl::Status Launch(const RmsNorm& args, const Params& params, const CudaContext& context) {
  const bool quads = params.width % 4 == 0 && params.width <= kMaxWidth;
  const dim3 rows(static_cast<unsigned>(args.x.dim(0)));
  return cuda::Launch(context, "rms_norm", quads ? RmsNormKernel<T> : AnyRmsNormKernel<T>,
                      {rows, dim3(kThreads)}, params);
}

}  // namespace

absl::Status RmsNormCuda(const RmsNorm& args, CudaContext& context) {
  if (args.x.dim(0) == 0) return absl::OkStatus();
  const Params params = {args.x.data(), args.weight.data(), args.eps,
                         static_cast<int>(args.x.dim(1)), args.normed.data()};
  switch (args.normed.dtype()) {
    case DType::kF16:
      return Launch<__half>(args, params, context);
    case DType::kBF16:
      return Launch<__nv_bfloat16>(args, params, context);
    default:
      return Launch<float>(args, params, context);
  }
}

}  // namespace skein
