#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv.cuh"
#include "kernels/cuda/wkv_launch.cuh"
#include "kernels/wkv7/stage.cuh"
#include "kernels/wkv7/wkv7.h"

namespace skein {
namespace {

// Any head size: grid (head, sequence), a thread per value channel.
__global__ void Wkv7PlainKernel(const cuda::PlainStage stage, const cuda::WkvSequences sequences,
                                int heads, int n) {
  extern __shared__ float shared[];
  cuda::DependencyWait();
  const int i = threadIdx.x, head = blockIdx.x, sequence = blockIdx.y;
  const bool owner = i < n;
  const cuda::SharedHead inputs = {shared, cuda::VectorStride(n)};
  if (sequences.slots[sequence] < 0) return;
  float* s = sequences.Head<float>(sequences.slots[sequence], head, n) + i * n;
  for (int row = sequences.begin(sequence); row < sequences.end(sequence); ++row) {
    const int64_t at = (static_cast<int64_t>(row) * heads + head) * n + i;
    __syncthreads();
    if (owner) {
      inputs.Store(i, stage.r[at], stage.w[at], stage.k[at], stage.q[at], stage.b[at]);
    }
    __syncthreads();
    if (owner) stage.y[at] = cuda::WkvStep(s, inputs.vectors(), stage.v[at], n);
  }
}

absl::Status RunPlain(const cuda::PlainStage& stage, const cuda::WkvSequences& sequences, int heads,
                      int n, const CudaContext& context) {
  const int threads = (n + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  return cuda::Launch(context, "wkv7", Wkv7PlainKernel,
                      {dim3(heads, sequences.count), dim3(threads), cuda::SharedHead::Bytes(n)},
                      stage, sequences, heads, n);
}

}  // namespace

absl::Status Wkv7Cuda(const Wkv7Args& args, CudaContext& context) {
  const int heads = static_cast<int>(args.r.dim(1)), n = static_cast<int>(args.r.dim(2));
  const cuda::PlainStage stage = {args.r.data(), args.w.data(), args.k.data(), args.v.data(),
                                  args.q.data(), args.b.data(), args.y.data(), heads * n};
  if (!cuda::HasFastWkv(n, args.state)) {
    RETURN_IF_ERROR(cuda::CheckPlainWkv(args.state));
    return RunPlain(stage, cuda::MakeWkvSequences(args.sequences, args.state, args.positions),
                    heads, n, context);
  }
  const cuda::WkvCall call = cuda::MakeWkvCall(args.sequences, args.state, args.positions, heads,
                                               /*early_state=*/false);
  switch (n) {
    case 64:
      return cuda::LaunchWkv<64, __half>(context, stage, call);
    case 96:
      return cuda::LaunchWkv<96, __half>(context, stage, call);
    default:
      return cuda::LaunchWkv<128, __half>(context, stage, call);
  }
}

}  // namespace skein
