#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv.cuh"
#include "kernels/hybrid_wkv/hybrid_wkv.h"
#include "kernels/hybrid_wkv/products.h"

namespace skein {
namespace {

struct Params {
  cuda::Elements r, k, v, u, a, g;
  cuda::Elements k_mix, v_mix;  // without data in the first RWKV layer
  cuda::MutableElements k_first, v_first, y;
  const float *r_norm, *k_norm, *r_k, *cosines, *sines;
  float norm_eps;
  char* state;
  int64_t slot_stride;
  const int32_t *row_begin, *slots;
  int heads, kv_heads, n;
};

// x[i] of this thread's channel after RMS norm, where `norm` is given, and rotation. `shared` holds
// n floats.
__device__ float Rotated(const Params& p, float x, const float* norm, int row, float* shared,
                         float* scratch) {
  const int i = threadIdx.x, half = p.n / 2;
  if (norm != nullptr) {
    const float squares = cuda::BlockSum(x * x, scratch);
    if (i < p.n) x *= rsqrtf(squares / p.n + p.norm_eps) * norm[i];
  }
  __syncthreads();
  if (i < p.n) shared[i] = x;
  __syncthreads();
  if (i >= p.n) return 0;
  const int angle = row * half + i % half;
  const float partner = i < half ? -shared[i + half] : shared[i - half];
  return fmaf(x, p.cosines[angle], partner * p.sines[angle]);
}

__device__ inline float Softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }

// Grid (head, sequence), a thread per channel; thread i owns value channel i of the state.
__global__ void HybridWkvKernel(const Params p) {
  extern __shared__ float shared[];
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  const int i = threadIdx.x, head = blockIdx.x, sequence = blockIdx.y, n = p.n;
  if (p.slots[sequence] < 0) return;
  const bool owner = i < n;
  const int stride = cuda::VectorStride(n);
  const cuda::SharedHead inputs = {shared, stride};
  float* const exchange = shared + 5 * stride;
  const int group = p.heads / p.kv_heads;
  const int channel = head * n + i, kv_channel = head / group * n + i;
  float* const memory = reinterpret_cast<float*>(p.state + p.slots[sequence] * p.slot_stride) +
                        static_cast<int64_t>(channel) * n;
  for (int row = p.row_begin[sequence]; row < p.row_begin[sequence + 1]; ++row) {
    const int64_t at = static_cast<int64_t>(row) * p.heads * n + channel;
    const int64_t kv_at = static_cast<int64_t>(row) * p.kv_heads * n + kv_channel;
    const float r = Rotated(p, owner ? p.r[at] : 0.0f, p.r_norm, row, exchange, scratch);
    float k = Rotated(p, owner ? p.k[kv_at] : 0.0f, p.k_norm, row, exchange, scratch);
    float v = owner ? p.v[kv_at] : 0.0f;
    if (owner && p.k_mix.data == nullptr) {
      if (head % group == 0) {
        p.k_first.Store(kv_at, k);
        p.v_first.Store(kv_at, v);
      }
    } else if (owner) {
      k = fmaf(p.k_first[kv_at] - k, p.k_mix[kv_at], k);
      v = fmaf(p.v_first[kv_at] - v, p.v_mix[kv_at], v);
    }
    const float a = owner ? p.a[at] : 0.0f;
    const float omega = owner ? -Softplus(-p.u[at]) - 0.5f : 0.0f;
    const float q = k / fmaxf(sqrtf(cuda::BlockSum(k * k, scratch)), 1e-12f);
    const float scaled = k * (1.0f - omega + a);
    if (owner) inputs.Store(i, r, expf(-expf(omega)), scaled, q, q * a);
    const float bonus = cuda::BlockSum(owner ? r * scaled * p.r_k[channel] : 0.0f, scratch);
    if (owner) {
      const float y = cuda::WkvStep(memory, inputs.vectors(), v, n);
      p.y.Store(at, fmaf(y, rsqrtf(static_cast<float>(n)), bonus * v) * p.g[at]);
    }
    __syncthreads();
  }
}

}  // namespace

absl::Status HybridWkvCuda(const HybridWkvArgs& args, CudaContext& context) {
  if (args.state.dtype != DType::kF32) {
    return absl::InvalidArgumentError("hybrid_wkv: state: expected fp32");
  }
  RETURN_IF_ERROR(ProjectCuda(HybridWkvProducts(args), context));
  const int heads = static_cast<int>(args.r_k.dim(0)), n = static_cast<int>(args.r_k.dim(1));
  Params params;
  params.r = cuda::ElementsOf(args.r);
  params.k = cuda::ElementsOf(args.k);
  params.v = cuda::ElementsOf(args.v);
  params.u = cuda::ElementsOf(args.u);
  params.a = cuda::ElementsOf(args.a);
  params.g = cuda::ElementsOf(args.g);
  params.k_mix = cuda::ElementsOf(args.k_mix);
  params.v_mix = cuda::ElementsOf(args.v_mix);
  params.k_first = cuda::ElementsOf(args.k_first);
  params.v_first = cuda::ElementsOf(args.v_first);
  params.y = cuda::ElementsOf(args.y);
  params.r_norm = args.r_norm.data();
  params.k_norm = args.k_norm.data();
  params.r_k = args.r_k.data();
  params.cosines = args.cosines.data();
  params.sines = args.sines.data();
  params.norm_eps = args.norm_eps;
  params.state = static_cast<char*>(args.state.base);
  params.slot_stride = args.state.slot_stride;
  params.row_begin = args.sequences.row_begin.data();
  params.slots = args.sequences.slots.data();
  params.heads = heads;
  params.kv_heads = static_cast<int>(args.k.dim(1)) / n;
  params.n = n;
  const dim3 grid(heads, static_cast<unsigned>(args.sequences.count()));
  const unsigned threads = (n + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  const size_t shared = 6 * cuda::VectorStride(n) * sizeof(float);
  return cuda::Launch(context, "hybrid_wkv", HybridWkvKernel, {grid, dim3(threads), shared},
                      params);
}

}  // namespace skein
