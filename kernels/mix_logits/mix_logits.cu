#include "kernels/cuda/launch.h"
#include "kernels/cuda/vector_io.cuh"
#include "kernels/mix_logits/mix_logits.h"

namespace skein {
namespace {

constexpr int kThreads = 256;

struct Params {
  float* logits;
  const int32_t *group_begin, *rows;
  const float* weights;
  int64_t vocab;
};

// A thread has C neighbouring columns of one group. Products are rounded before they are added, as
// on the CPU.
template <int C>
__global__ void __launch_bounds__(kThreads) MixLogitsKernel(const Params p) {
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int begin = p.group_begin[blockIdx.y], end = p.group_begin[blockIdx.y + 1];
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * C;
  if (begin == end || i >= p.vocab) return;
  float sum[C] = {};
  for (int k = begin; k < end; ++k) {
    float row[C];
    cuda::LoadTo(row, p.logits + p.rows[k] * p.vocab + i);
    const float weight = p.weights[k];
#pragma unroll
    for (int j = 0; j < C; ++j) {
      const float term = __fmul_rn(weight, row[j]);
      sum[j] = k == begin ? term : __fadd_rn(sum[j], term);
    }
  }
  cuda::StoreFrom(p.logits + p.rows[begin] * p.vocab + i, sum);
}

}  // namespace

absl::Status MixLogitsCuda(const MixLogitsArgs& args, CudaContext& context) {
  const Params params = {args.logits.data(), args.group_begin.data(), args.rows.data(),
                         args.weights.data(), args.logits.dim(1)};
  const int64_t groups = args.group_begin.dim(0) - 1;
  if (groups == 0 || params.vocab == 0) return absl::OkStatus();
  const int columns = params.vocab % 4 == 0 ? 4 : 1;
  const int64_t block = int64_t{kThreads} * columns;
  const dim3 grid(static_cast<unsigned>((params.vocab + block - 1) / block),
                  static_cast<unsigned>(groups));
  return cuda::Launch(context, "mix_logits", columns == 4 ? MixLogitsKernel<4> : MixLogitsKernel<1>,
                      {grid, dim3(kThreads)}, params);
}

}  // namespace skein
