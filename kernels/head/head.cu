#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/head/head.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

constexpr int kThreads = 256;

// A block per wanted row.
__global__ void GatherNormKernel(const float* x, const int32_t* rows, const float* w,
                                 const float* b, float eps, int width, float* normed) {
  __shared__ float scratch[cuda::kWarp];
  cuda::NormRow(x + static_cast<int64_t>(rows[blockIdx.x]) * width, w, b, eps, width,
                normed + static_cast<int64_t>(blockIdx.x) * width, scratch);
}

}  // namespace

absl::Status HeadCuda(const HeadArgs& args, CUstream_st* stream) {
  const unsigned outputs = static_cast<unsigned>(args.rows.dim(0));
  if (outputs == 0) return absl::OkStatus();
  GatherNormKernel<<<outputs, kThreads, 0, stream>>>(
      args.x.data(), args.rows.data(), args.norm_weight.data(), args.norm_bias.data(), args.eps,
      static_cast<int>(args.head.cols), args.normed.data());
  RETURN_IF_ERROR(LaunchStatus("head"));
  const Projection product = {args.head, {}, Activation::kNone, args.normed, args.logits};
  return ProjectCuda({&product, 1}, stream);
}

}  // namespace skein
