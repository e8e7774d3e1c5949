#include <algorithm>
#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/norm_rows.h"
#include "kernels/gated_mlp_in/gated_mlp_in.h"
#include "kernels/linear/gemv.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

constexpr int kThreads = 256;
constexpr int kVector = 8;  // elements that a thread takes at a time

template <typename T>
struct alignas(sizeof(T) * kVector < 16 ? sizeof(T) * kVector : 16) Vector {
  T values[kVector];
};

// h *= silu(gated). With kWidth of 1 for sizes that are no multiple of kVector.
template <typename Gate, typename T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    SiluMulKernel(const Gate* gated, T* h, int64_t vectors) {
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < vectors;
       i += stride) {
    if constexpr (kWidth == 1) {
      const float z = cuda::Widen(gated[i]);
      h[i] = cuda::Narrow<T>(z / (1.0f + __expf(-z)) * cuda::Widen(h[i]));
    } else {
      const Vector<Gate> gates = reinterpret_cast<const Vector<Gate>*>(gated)[i];
      Vector<T> products = reinterpret_cast<const Vector<T>*>(h)[i];
#pragma unroll
      for (int j = 0; j < kVector; ++j) {
        const float z = cuda::Widen(gates.values[j]);
        products.values[j] =
            cuda::Narrow<T>(z / (1.0f + __expf(-z)) * cuda::Widen(products.values[j]));
      }
      reinterpret_cast<Vector<T>*>(h)[i] = products;
    }
  }
}

template <typename Gate, typename T>
absl::Status Launch(const GatedMlpInArgs& args, const CudaContext& context) {
  const bool wide = args.h.size() % kVector == 0;
  const int64_t vectors = wide ? args.h.size() / kVector : args.h.size();
  const int64_t blocks =
      std::min<int64_t>((vectors + kThreads - 1) / kThreads, int64_t{8} * context.sm_count);
  return cuda::Launch(
      context, "gated_mlp_in", wide ? SiluMulKernel<Gate, T, kVector> : SiluMulKernel<Gate, T, 1>,
      {dim3(static_cast<unsigned>(blocks)), dim3(kThreads)},
      static_cast<const Gate*>(args.gated.data()), static_cast<T*>(args.h.data()), vectors);
}

template <typename T>
absl::Status LaunchFor(const GatedMlpInArgs& args, const CudaContext& context) {
  return args.gated.dtype() == args.h.dtype() ? Launch<T, T>(args, context)
                                              : Launch<float, T>(args, context);
}

}  // namespace

absl::Status GatedMlpInCuda(const GatedMlpInArgs& args, CudaContext& context) {
  if (args.h.dim(0) == 0) return absl::OkStatus();
  const Projection products[] = {{args.gate, {}, Activation::kNone, args.normed, args.gated},
                                 {args.up, {}, Activation::kNone, args.normed, args.h}};
  const NormedInput input = {args.x, {}, args.norm_weight, {}, args.eps, {}, {}};
  if (CanGemvNormed(input, products, context)) {
    return GemvGated(input, products[0], products[1], context);
  }
  RETURN_IF_ERROR(NormRowsCuda({args.x, {}, args.norm_weight, {}, args.eps, args.normed}, context));
  RETURN_IF_ERROR(ProjectCuda(products, context));
  switch (args.h.dtype()) {
    case DType::kF16:
      return LaunchFor<__half>(args, context);
    case DType::kBF16:
      return LaunchFor<__nv_bfloat16>(args, context);
    default:
      return LaunchFor<float>(args, context);
  }
}

}  // namespace skein
