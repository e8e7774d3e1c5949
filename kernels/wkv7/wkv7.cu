#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv.cuh"
#include "kernels/wkv7/wkv7.h"

namespace skein {
namespace {

struct Params {
  const float *r, *w, *k, *v, *q, *b;
  float* y;
  char* state;
  int64_t slot_stride;
  const int32_t *row_begin, *slots;
  int heads, n;
};

// Grid (head, sequence), a thread per value channel.
template <int kN>
__global__ void Wkv7Kernel(const Params p) {
  extern __shared__ float shared[];
  const int i = threadIdx.x, head = blockIdx.x, sequence = blockIdx.y;
  const bool owner = i < p.n;
  const cuda::SharedHead inputs = {shared, cuda::VectorStride(p.n)};
  if (p.slots[sequence] < 0) return;
  float* memory = reinterpret_cast<float*>(p.state + p.slots[sequence] * p.slot_stride) +
                  (static_cast<int64_t>(head) * p.n + i) * p.n;
  cuda::StateRow<kN> s;
  if (owner) s.Load(memory);
  for (int row = p.row_begin[sequence]; row < p.row_begin[sequence + 1]; ++row) {
    const int64_t at = (static_cast<int64_t>(row) * p.heads + head) * p.n + i;
    __syncthreads();
    if (owner) inputs.Store(i, p.r[at], p.w[at], p.k[at], p.q[at], p.b[at]);
    __syncthreads();
    if (owner) p.y[at] = cuda::WkvStep<kN>(s, inputs.vectors(), p.v[at], p.n);
  }
  if (owner) s.Store(memory);
}

}  // namespace

absl::Status Wkv7Cuda(const Wkv7Args& args, CudaContext& context) {
  const int heads = static_cast<int>(args.r.dim(1)), n = static_cast<int>(args.r.dim(2));
  const Params params = {args.r.data(),
                         args.w.data(),
                         args.k.data(),
                         args.v.data(),
                         args.q.data(),
                         args.b.data(),
                         args.y.data(),
                         static_cast<char*>(args.state.base),
                         args.state.slot_stride,
                         args.sequences.row_begin.data(),
                         args.sequences.slots.data(),
                         heads,
                         n};
  const dim3 grid(heads, static_cast<unsigned>(args.sequences.count()));
  const int threads = (n + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  const size_t shared = cuda::SharedHead::Bytes(n);
  if (n == 64) {
    Wkv7Kernel<64><<<grid, threads, shared, context.stream>>>(params);
  } else {
    Wkv7Kernel<0><<<grid, threads, shared, context.stream>>>(params);
  }
  return LaunchStatus("wkv7");
}

}  // namespace skein
