#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv.cuh"
#include "kernels/time_mix_wkv/products.h"
#include "kernels/time_mix_wkv/time_mix_wkv.h"

namespace skein {
namespace {

struct Params {
  cuda::Elements r, k, v, w, a, g, v_mix;  // v_mix without data in layer 0
  cuda::MutableElements v_first, y;
  char* state;
  const float *k_k, *k_a, *r_k, *norm_weight, *norm_bias;
  float norm_eps;
  int64_t slot_stride;
  const int32_t *row_begin, *slots;
  int heads, n;
};

// Grid (head, sequence), a thread per channel; thread i owns value channel i of the state.
template <int kN>
__global__ void TimeMixWkvKernel(const Params p) {
  extern __shared__ float shared[];
  __shared__ float scratch[cuda::kWarp];
  const int i = threadIdx.x, head = blockIdx.x, sequence = blockIdx.y, n = p.n;
  const bool owner = i < n;
  const cuda::SharedHead inputs = {shared, cuda::VectorStride(n)};
  const int c = head * n + i;  // channel
  if (p.slots[sequence] < 0) return;
  float* memory = reinterpret_cast<float*>(p.state + p.slots[sequence] * p.slot_stride) +
                  static_cast<int64_t>(c) * n;
  cuda::StateRow<kN> s;
  if (owner) s.Load(memory);
  const float k_k = owner ? p.k_k[c] : 0.0f, k_a = owner ? p.k_a[c] : 0.0f,
              r_k = owner ? p.r_k[c] : 0.0f;
  for (int row = p.row_begin[sequence]; row < p.row_begin[sequence + 1]; ++row) {
    const int64_t at = static_cast<int64_t>(row) * p.heads * n + c;
    const float r = owner ? p.r[at] : 0.0f, k = owner ? p.k[at] : 0.0f, a = owner ? p.a[at] : 0.0f;
    float v = owner ? p.v[at] : 0.0f;
    if (owner && p.v_mix.data == nullptr) p.v_first.Store(at, v);
    if (owner && p.v_mix.data != nullptr) v = fmaf(p.v_first[at] - v, p.v_mix[at], v);
    const float removal = k * k_k;
    const float q = removal / fmaxf(sqrtf(cuda::BlockSum(removal * removal, scratch)), 1e-12f);
    const float scaled = k * fmaf(a - 1.0f, k_a, 1.0f);
    if (owner) inputs.Store(i, r, p.w[at], scaled, q, q * a);
    __syncthreads();
    const float y = owner ? cuda::WkvStep<kN>(s, inputs.vectors(), v, n) : 0.0f;
    const float mean = cuda::BlockSum(y, scratch) / n;
    const float centred = owner ? y - mean : 0.0f;
    const float scale = rsqrtf(cuda::BlockSum(centred * centred, scratch) / n + p.norm_eps);
    const float bonus = cuda::BlockSum(r * scaled * r_k, scratch);
    if (owner) {
      p.y.Store(at,
                (fmaf(centred * scale, p.norm_weight[c], p.norm_bias[c]) + bonus * v) * p.g[at]);
    }
  }
  if (owner) s.Store(memory);
}

}  // namespace

absl::Status TimeMixWkvCuda(const TimeMixWkvArgs& args, CudaContext& context) {
  RETURN_IF_ERROR(ProjectCuda(TimeMixWkvProducts(args), context));
  const int heads = static_cast<int>(args.r_k.dim(0)), n = static_cast<int>(args.r_k.dim(1));
  const Params params = {cuda::ElementsOf(args.r),
                         cuda::ElementsOf(args.k),
                         cuda::ElementsOf(args.v),
                         cuda::ElementsOf(args.w),
                         cuda::ElementsOf(args.a),
                         cuda::ElementsOf(args.g),
                         cuda::ElementsOf(args.v_mix),
                         cuda::ElementsOf(args.v_first),
                         cuda::ElementsOf(args.y),
                         static_cast<char*>(args.state.base),
                         args.k_k.data(),
                         args.k_a.data(),
                         args.r_k.data(),
                         args.norm_weight.data(),
                         args.norm_bias.data(),
                         args.norm_eps,
                         args.state.slot_stride,
                         args.sequences.row_begin.data(),
                         args.sequences.slots.data(),
                         heads,
                         n};
  const dim3 grid(heads, static_cast<unsigned>(args.sequences.count()));
  const int threads = (n + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  const size_t shared = cuda::SharedHead::Bytes(n);
  if (n == 64) {
    TimeMixWkvKernel<64><<<grid, threads, shared, context.stream>>>(params);
  } else {
    TimeMixWkvKernel<0><<<grid, threads, shared, context.stream>>>(params);
  }
  return LaunchStatus("time_mix_wkv");
}

}  // namespace skein
