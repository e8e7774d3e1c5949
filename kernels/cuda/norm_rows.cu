#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/norm_rows.h"

namespace skein {
namespace {

constexpr int kThreads = 256;

struct Call {
  const float* x;
  const int32_t* rows;
  const float *weight, *bias;
  void* y;
  float eps;
  int width;

  __device__ const float* Row(int output) const {
    return x + static_cast<int64_t>(rows == nullptr ? output : rows[output]) * width;
  }
};

template <typename T>
__device__ void StoreQuad(T* to, const float4& value) {
  if constexpr (sizeof(T) == 4) {
    *reinterpret_cast<float4*>(to) = value;
  } else {
    const T four[4] = {cuda::Narrow<T>(value.x), cuda::Narrow<T>(value.y), cuda::Narrow<T>(value.z),
                       cuda::Narrow<T>(value.w)};
    *reinterpret_cast<uint2*>(to) = *reinterpret_cast<const uint2*>(four);
  }
}

// Of the row that a block norms, what a thread has: kQuads times four elements.
template <int kQuads>
struct Part {
  float4 values[kQuads];

  __device__ static int Column(int i) { return (i * kThreads + static_cast<int>(threadIdx.x)) * 4; }
  // Zeros behind the end, or all over if there is no such row.
  __device__ void Load(const float* row, int width) {
#pragma unroll
    for (int i = 0; i < kQuads; ++i) {
      values[i] = make_float4(0, 0, 0, 0);
      // Past the first-level cache, which may hold what an earlier kernel has read.
      if (row != nullptr && Column(i) < width) {
        values[i] = __ldcg(reinterpret_cast<const float4*>(row + Column(i)));
      }
    }
  }
};

// A block per row, which stays in registers. Widths are multiples of four.
template <typename T, int kQuads>
__global__ void __launch_bounds__(kThreads) NormKernel(const Call call) {
  __shared__ float scratch[cuda::kWarp];
  using RowPart = Part<kQuads>;
  RowPart x, weight, bias;
  weight.Load(call.weight, call.width);
  bias.Load(call.bias, call.width);
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  x.Load(call.Row(blockIdx.x), call.width);
  float mean = 0, squares = 0;
  if (call.bias != nullptr) {
    float sum = 0;
#pragma unroll
    for (const float4& v : x.values) sum += v.x + v.y + v.z + v.w;
    mean = cuda::BlockSum(sum, scratch) / call.width;
  }
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    if (RowPart::Column(i) >= call.width) continue;
    float4& v = x.values[i];
    v = make_float4(v.x - mean, v.y - mean, v.z - mean, v.w - mean);
    squares += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  const float scale = rsqrtf(cuda::BlockSum(squares, scratch) / call.width + call.eps);
  T* y = static_cast<T*>(call.y) + static_cast<int64_t>(blockIdx.x) * call.width;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    if (RowPart::Column(i) >= call.width) continue;
    const float4 &v = x.values[i], &w = weight.values[i], &b = bias.values[i];
    StoreQuad(y + RowPart::Column(i),
              make_float4(fmaf(v.x * scale, w.x, b.x), fmaf(v.y * scale, w.y, b.y),
                          fmaf(v.z * scale, w.z, b.z), fmaf(v.w * scale, w.w, b.w)));
  }
}

// Any width.
template <typename T>
__global__ void __launch_bounds__(kThreads) AnyNormKernel(const Call call) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  T* y = static_cast<T*>(call.y) + static_cast<int64_t>(blockIdx.x) * call.width;
  cuda::NormRow(call.Row(blockIdx.x), call.weight, call.bias, call.eps, call.width, scratch,
                [&](int c, float value) { y[c] = cuda::Narrow<T>(value); });
}

template <typename T>
absl::Status LaunchAs(const Call& call, unsigned outputs, CudaContext& context) {
  const cuda::LaunchShape shape = {outputs, kThreads};
  constexpr int kQuadRow = kThreads * 4;
  if (call.width % 4 != 0 || call.width > 8 * kQuadRow) {
    return cuda::Launch(context, "norm", AnyNormKernel<T>, shape, call);
  }
  if (call.width > 4 * kQuadRow) {
    return cuda::Launch(context, "norm", NormKernel<T, 8>, shape, call);
  }
  return cuda::Launch(context, "norm", NormKernel<T, 4>, shape, call);
}

}  // namespace

absl::Status NormRowsCuda(const NormRows& args, CudaContext& context) {
  const auto outputs = static_cast<unsigned>(args.y.dim(0));
  if (outputs == 0) return absl::OkStatus();
  const Call call = {args.x.data(),
                     args.rows.data(),
                     args.weight.data(),
                     args.bias.data(),
                     args.y.data(),
                     args.eps,
                     static_cast<int>(args.y.dim(1))};
  if (args.y.dtype() == DType::kF16) return LaunchAs<__half>(call, outputs, context);
  if (args.y.dtype() == DType::kBF16) return LaunchAs<__nv_bfloat16>(call, outputs, context);
  return LaunchAs<float>(call, outputs, context);
}

}  // namespace skein
