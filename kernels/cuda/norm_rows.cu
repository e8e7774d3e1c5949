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
};

// kWidth neighbouring values of type T, moved at once.
template <typename T, int kWidth>
struct alignas(sizeof(T) * kWidth) Pack {
  T values[kWidth];
};

// Past the first-level cache, which may hold what an earlier kernel has read.
__device__ inline Pack<float, 1> LoadFresh(const Pack<float, 1>* from) {
  return {{__ldcg(from->values)}};
}
__device__ inline Pack<float, 4> LoadFresh(const Pack<float, 4>* from) {
  const float4 v = __ldcg(reinterpret_cast<const float4*>(from));
  return {{v.x, v.y, v.z, v.w}};
}

// A block per row, which it keeps in shared memory between its passes; every thread works on its
// own part of it.
template <typename T, int kWidth>
__global__ void __launch_bounds__(kThreads) NormKernel(const Call call) {
  using Floats = Pack<float, kWidth>;
  extern __shared__ float4 memory[];
  __shared__ float scratch[cuda::kWarp];
  Floats* row = reinterpret_cast<Floats*>(memory);
  const int packs = call.width / kWidth;
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int64_t from = call.rows == nullptr ? blockIdx.x : call.rows[blockIdx.x];
  const Floats* x = reinterpret_cast<const Floats*>(call.x + from * call.width);
  float sum = 0;
#pragma unroll 4
  for (int i = threadIdx.x; i < packs; i += kThreads) {
    const Floats pack = LoadFresh(x + i);
    row[i] = pack;
    for (int j = 0; j < kWidth; ++j) sum += pack.values[j];
  }
  const float mean = call.bias == nullptr ? 0.0f : cuda::BlockSum(sum, scratch) / call.width;
  float squares = 0;
  for (int i = threadIdx.x; i < packs; i += kThreads) {
    for (int j = 0; j < kWidth; ++j) {
      const float d = row[i].values[j] - mean;
      squares = fmaf(d, d, squares);
    }
  }
  const float scale = rsqrtf(cuda::BlockSum(squares, scratch) / call.width + call.eps);
  T* y = static_cast<T*>(call.y) + static_cast<int64_t>(blockIdx.x) * call.width;
#pragma unroll 4
  for (int i = threadIdx.x; i < packs; i += kThreads) {
    const Floats w = reinterpret_cast<const Floats*>(call.weight)[i];
    Floats b = {};
    if (call.bias != nullptr) b = reinterpret_cast<const Floats*>(call.bias)[i];
    Pack<T, kWidth> out;
    for (int j = 0; j < kWidth; ++j) {
      out.values[j] = T(fmaf((row[i].values[j] - mean) * scale, w.values[j], b.values[j]));
    }
    reinterpret_cast<Pack<T, kWidth>*>(y)[i] = out;
  }
}

template <typename T>
absl::Status LaunchAs(const Call& call, unsigned outputs, CudaContext& context) {
  const cuda::LaunchShape shape = {outputs, kThreads, call.width * sizeof(float)};
  if (call.width % 4 == 0) {
    return cuda::Launch(context, "norm", NormKernel<T, 4>, shape, call);
  }
  return cuda::Launch(context, "norm", NormKernel<T, 1>, shape, call);
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
