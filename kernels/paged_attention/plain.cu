// Attention for any element type, head size and page size: a block per row and query head, whose
// warps take blocks of 32 tokens in turn, a lane per token, and join their sums in order.
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/paged_attention/attention_call.h"

namespace skein::attention {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxChannels = kMaxHeadDim / cuda::kWarp;  // of a lane

struct Softmax {
  float largest = -INFINITY, sum = 0;
  float out[kMaxChannels] = {};  // channels lane, lane + 32, ...
};

__device__ float WarpMax(float x) {
#pragma unroll
  for (int step = cuda::kWarp / 2; step > 0; step /= 2) {
    x = fmaxf(x, __shfl_xor_sync(~0u, x, step));
  }
  return x;
}

// Element offset of a token's head.
__device__ int64_t TokenAt(const Call& call, const int32_t* pages, int token, int kv_head) {
  return pages[token / call.page_tokens] * call.page_elements +
         (static_cast<int64_t>(kv_head) * call.page_tokens + token % call.page_tokens) *
             call.head_dim;
}

// Takes in tokens [first, first + 32), of which those before `tokens` exist.
__device__ void AddTokens(const Call& call, const int32_t* pages, const float* q, int kv_head,
                          int first, int tokens, Softmax& softmax) {
  const int lane = threadIdx.x % cuda::kWarp;
  const cuda::Elements keys{call.keys, call.kv_type}, values{call.values, call.kv_type};
  const bool visible = first + lane < tokens;
  const int64_t mine = visible ? TokenAt(call, pages, first + lane, kv_head) : 0;
  float score = 0;
  if (visible) {
    for (int i = 0; i < call.head_dim; ++i) score = fmaf(q[i], keys[mine + i], score);
  }
  score = visible ? score * rsqrtf(static_cast<float>(call.head_dim)) : -INFINITY;
  const float largest = fmaxf(softmax.largest, WarpMax(score));
  const float shrink = expf(softmax.largest - largest), weight = expf(score - largest);
  softmax.sum = softmax.sum * shrink + cuda::WarpSum(weight);
  softmax.largest = largest;
#pragma unroll
  for (int i = 0; i < kMaxChannels; ++i) softmax.out[i] *= shrink;
  for (int j = 0; j < min(cuda::kWarp, tokens - first); ++j) {
    const float w = __shfl_sync(~0u, weight, j);
    const int64_t at = __shfl_sync(~0u, mine, j);
#pragma unroll
    for (int i = 0; i < kMaxChannels; ++i) {
      const int channel = i * cuda::kWarp + lane;
      if (channel < call.head_dim) {
        softmax.out[i] = fmaf(w, values[at + channel], softmax.out[i]);
      }
    }
  }
}

__global__ void __launch_bounds__(kWarps* cuda::kWarp)
    PlainKernel(const __grid_constant__ Call call) {
  extern __shared__ float shared[];  // [head_dim], [kWarps, head_dim]
  __shared__ float largest[kWarps], sums[kWarps];
  float* outs = shared + call.head_dim;
  const int lane = threadIdx.x % cuda::kWarp, warp = threadIdx.x / cuda::kWarp;
  const int row = blockIdx.x, head = blockIdx.y;

  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int sequence =
      call.max_rows == 1 ? row : cuda::SequenceOf(call.row_begin, call.sequences, row);
  if (call.slots[sequence] < 0) return;
  const int64_t at = static_cast<int64_t>(row) * call.width + head * call.head_dim;
  const cuda::Elements q{call.q, call.q_type};
  for (int i = threadIdx.x; i < call.head_dim; i += blockDim.x) shared[i] = q[at + i];
  __syncthreads();
  Softmax softmax;
  const int tokens = call.positions[row] + 1;
  const int32_t* pages = call.table + static_cast<int64_t>(sequence) * call.max_pages;
  for (int first = warp * cuda::kWarp; first < tokens; first += kWarps * cuda::kWarp) {
    AddTokens(call, pages, shared, head / call.group, first, tokens, softmax);
  }
  __syncthreads();  // loops over q read ahead of its end, where the first warp's sums lie
#pragma unroll
  for (int i = 0; i < kMaxChannels; ++i) {
    const int channel = i * cuda::kWarp + lane;
    if (channel < call.head_dim) outs[warp * call.head_dim + channel] = softmax.out[i];
  }
  if (lane == 0) largest[warp] = softmax.largest, sums[warp] = softmax.sum;
  __syncthreads();
  float most = -INFINITY, weights = 0, factors[kWarps];
  for (int w = 0; w < kWarps; ++w) most = fmaxf(most, largest[w]);
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    factors[w] = expf(largest[w] - most);
    weights += sums[w] * factors[w];
  }
  const cuda::MutableElements y{call.y, call.y_type};
  for (int i = threadIdx.x; i < call.head_dim; i += blockDim.x) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum = fmaf(outs[w * call.head_dim + i], factors[w], sum);
    y.Store(at + i, sum / weights);
  }
}

}  // namespace

absl::Status LaunchPlain(const Call& call, const CudaContext& context) {
  const dim3 grid(static_cast<unsigned>(call.rows),
                  static_cast<unsigned>(call.kv_heads * call.group));
  const size_t bytes = (1 + kWarps) * call.head_dim * sizeof(float);
  return cuda::Launch(context, "paged_attention", PlainKernel,
                      {grid, dim3(kWarps * cuda::kWarp), bytes}, call);
}

}  // namespace skein::attention
