#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/embedding/embedding.h"

namespace skein {
namespace {

constexpr int kThreads = 256;

struct Params {
  const int32_t* tokens;
  const void* table;
  const float *norm_weight, *norm_bias;
  float eps;
  int width;
  float* x;
};

// A block per row.
template <typename W>
__global__ void EmbeddingKernel(const Params p) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  const W* from =
      static_cast<const W*>(p.table) + static_cast<int64_t>(p.tokens[blockIdx.x]) * p.width;
  float* x = p.x + static_cast<int64_t>(blockIdx.x) * p.width;
  // Each thread norms the elements that it has written itself.
  for (int c = threadIdx.x; c < p.width; c += blockDim.x) x[c] = cuda::Widen(from[c]);
  if (p.norm_weight != nullptr)
    cuda::NormRow(x, p.norm_weight, p.norm_bias, p.eps, p.width, scratch,
                  [&](int c, float value) { x[c] = value; });
  cuda::ReleaseDependents();
}

}  // namespace

absl::Status EmbeddingCuda(const EmbeddingArgs& args, CudaContext& context) {
  const unsigned rows = static_cast<unsigned>(args.tokens.dim(0));
  if (rows == 0) return absl::OkStatus();
  const Params params = {args.tokens.data(),    args.table.data, args.norm_weight.data(),
                         args.norm_bias.data(), args.eps,        static_cast<int>(args.table.cols),
                         args.x.data()};
  const auto kernel = args.table.dtype == DType::kBF16  ? EmbeddingKernel<__nv_bfloat16>
                      : args.table.dtype == DType::kF16 ? EmbeddingKernel<__half>
                                                        : EmbeddingKernel<float>;
  return cuda::Launch(context, "embedding", kernel, {.grid = rows, .block = kThreads}, params);
}

}  // namespace skein
