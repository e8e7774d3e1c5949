#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/vector_io.cuh"
#include "kernels/embedding/embedding.h"

namespace skein {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 8;  // of a thread that keeps its part of the row in registers
constexpr int kMaxThreads = 1024;

struct Params {
  const int32_t* tokens;
  const void* table;
  const float *norm_weight, *norm_bias;
  float eps;
  int width;
  float* x;

  template <typename W>
  __device__ const W* Row() const {
    return static_cast<const W*>(table) + static_cast<int64_t>(tokens[blockIdx.x]) * width;
  }
};

// A block per row. It lets the next kernel start only when the step before has ended: later kernels
// of a step may read what that step has written without waiting for it.
template <typename W>
__global__ void __launch_bounds__(kMaxThreads) EmbeddingKernel(const Params p) {
  __shared__ float scratch[2][cuda::kWarp];
  const int column = threadIdx.x * kColumns;
  const bool mine = column < p.width, norms = p.norm_weight != nullptr;
  float weight[kColumns] = {}, bias[kColumns] = {}, x[kColumns] = {};
  if (mine && norms) {
    cuda::LoadTo(weight, p.norm_weight + column);
    cuda::LoadTo(bias, p.norm_bias + column);
  }
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  if (mine) cuda::LoadTo(x, p.Row<W>() + column);
  if (norms) {
    float sum = 0, squares = 0;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) sum += x[j];
    const float mean = cuda::BlockSum(sum, scratch[0]) / p.width;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      x[j] -= mean;
      if (mine) squares = fmaf(x[j], x[j], squares);
    }
    const float scale = rsqrtf(cuda::BlockSum(squares, scratch[1]) / p.width + p.eps);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) x[j] = fmaf(x[j] * scale, weight[j], bias[j]);
  }
  if (mine) cuda::StoreFrom(p.x + static_cast<int64_t>(blockIdx.x) * p.width + column, x);
}

// The same for any width.
template <typename W>
__global__ void PlainEmbeddingKernel(const Params p) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  const W* from = p.Row<W>();
  float* x = p.x + static_cast<int64_t>(blockIdx.x) * p.width;
  // Each thread norms the elements that it has written itself.
  for (int c = threadIdx.x; c < p.width; c += blockDim.x) x[c] = cuda::Widen(from[c]);
  if (p.norm_weight != nullptr)
    cuda::NormRow(x, p.norm_weight, p.norm_bias, p.eps, p.width, scratch,
                  [&](int c, float value) { x[c] = value; });
  cuda::ReleaseDependents();
}

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

bool InRegisters(const Params& p) {
  return p.width % kColumns == 0 && p.width <= kColumns * kMaxThreads && Aligned(p.table) &&
         Aligned(p.norm_weight) && Aligned(p.norm_bias) && Aligned(p.x);
}

template <typename W>
absl::Status LaunchAs(const Params& params, unsigned rows, const CudaContext& context) {
  if (!InRegisters(params)) {
    return cuda::Launch(context, "embedding", PlainEmbeddingKernel<W>, {rows, kThreads}, params);
  }
  const int warps = (params.width + kColumns * cuda::kWarp - 1) / (kColumns * cuda::kWarp);
  return cuda::Launch(context, "embedding", EmbeddingKernel<W>,
                      {rows, static_cast<unsigned>(warps * cuda::kWarp)}, params);
}

}  // namespace

absl::Status EmbeddingCuda(const EmbeddingArgs& args, CudaContext& context) {
  const unsigned rows = static_cast<unsigned>(args.tokens.dim(0));
  if (rows == 0) return absl::OkStatus();
  const Params params = {args.tokens.data(),    args.table.data, args.norm_weight.data(),
                         args.norm_bias.data(), args.eps,        static_cast<int>(args.table.cols),
                         args.x.data()};
  if (args.table.dtype == DType::kBF16) return LaunchAs<__nv_bfloat16>(params, rows, context);
  if (args.table.dtype == DType::kF16) return LaunchAs<__half>(params, rows, context);
  return LaunchAs<float>(params, rows, context);
}

}  // namespace skein
