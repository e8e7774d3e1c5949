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
                                 const float* b, float eps, int width,
                                 cuda::MutableElements normed) {
  __shared__ float scratch[cuda::kWarp];
  const int64_t to = static_cast<int64_t>(blockIdx.x) * width;
  cuda::NormRow(x + static_cast<int64_t>(rows[blockIdx.x]) * width, w, b, eps, width, scratch,
                [&](int c, float value) { normed.Store(to + c, value); });
}

}  // namespace

absl::Status HeadCuda(const HeadArgs& args, CudaContext& context) {
  const unsigned outputs = static_cast<unsigned>(args.rows.dim(0));
  if (outputs == 0) return absl::OkStatus();
  GatherNormKernel<<<outputs, kThreads, 0, context.stream>>>(
      args.x.data(), args.rows.data(), args.norm_weight.data(), args.norm_bias.data(), args.eps,
      static_cast<int>(args.head.cols), cuda::ElementsOf(args.normed));
  RETURN_IF_ERROR(LaunchStatus("head"));
  const Projection product = {args.head, {}, Activation::kNone, args.normed, args.logits};
  return ProjectCuda({&product, 1}, context);
}

}  // namespace skein
