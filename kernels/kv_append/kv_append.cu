#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/kv_append/kv_append.h"

namespace skein {
namespace {

constexpr int kWarps = 4;

struct Params {
  cuda::MutableElements q;
  cuda::Elements k, v;
  const float *q_norm, *k_norm;
  float eps;
  const int32_t *positions, *row_begin, *slots, *table;
  int sequences, heads, kv_heads, head_dim, page_tokens, max_pages;
  bool decode;
  cuda::MutableElements keys, values;
};

// The root mean square's inverse over a head, by a warp.
__device__ float RmsScale(const cuda::Elements& x, int64_t at, int n, float eps) {
  float squares = 0;
  for (int c = threadIdx.x % cuda::kWarp; c < n; c += cuda::kWarp) {
    const float value = x[at + c];
    squares = fmaf(value, value, squares);
  }
  return rsqrtf(cuda::WarpSum(squares) / n + eps);
}

// to = from, normed where there is a weight, over a head.
__device__ void MoveHead(const cuda::Elements& from, int64_t from_at, const float* norm, float eps,
                         int n, const cuda::MutableElements& to, int64_t to_at) {
  const float scale = norm == nullptr ? 1.0f : RmsScale(from, from_at, n, eps);
  for (int c = threadIdx.x % cuda::kWarp; c < n; c += cuda::kWarp) {
    const float value = from[from_at + c];
    to.Store(to_at + c, norm == nullptr ? value : value * scale * norm[c]);
  }
}

// A warp per row and head: the keys' heads, the values', and where they are normed the queries'.
__global__ void __launch_bounds__(kWarps* cuda::kWarp) KvAppendKernel(const Params p) {
  cuda::DependencyWait();
  cuda::ReleaseDependents();  // after the wait: attention counts on the kernels before this one
  const int row = blockIdx.x;
  const int unit = blockIdx.y * kWarps + threadIdx.x / cuda::kWarp;
  const int units = 2 * p.kv_heads + (p.q_norm == nullptr ? 0 : p.heads);
  const int sequence = p.decode ? row : cuda::SequenceOf(p.row_begin, p.sequences, row);
  if (unit >= units || p.slots[sequence] < 0) return;
  const int n = p.head_dim;
  if (unit >= 2 * p.kv_heads) {
    const int64_t at = (static_cast<int64_t>(row) * p.heads + unit - 2 * p.kv_heads) * n;
    MoveHead({p.q.data, p.q.dtype}, at, p.q_norm, p.eps, n, p.q, at);
    return;
  }
  const int head = unit % p.kv_heads;
  const int64_t from = (static_cast<int64_t>(row) * p.kv_heads + head) * n;
  const int position = p.positions[row];
  const int64_t page =
      p.table[static_cast<int64_t>(sequence) * p.max_pages + position / p.page_tokens];
  const int64_t to = ((page * p.kv_heads + head) * p.page_tokens + position % p.page_tokens) * n;
  if (unit < p.kv_heads) {
    MoveHead(p.k, from, p.k_norm, p.eps, n, p.keys, to);
  } else {
    MoveHead(p.v, from, nullptr, p.eps, n, p.values, to);
  }
}

}  // namespace

absl::Status KvAppendCuda(const KvAppendArgs& args, CudaContext& context) {
  Params p;
  p.q = cuda::ElementsOf(args.q);
  p.k = cuda::ElementsOf(args.k);
  p.v = cuda::ElementsOf(args.v);
  p.q_norm = args.q_norm.data();
  p.k_norm = args.k_norm.data();
  p.eps = args.norm_eps;
  p.positions = args.positions.data();
  p.row_begin = args.sequences.row_begin.data();
  p.slots = args.sequences.slots.data();
  p.table = args.pages.table.data();
  p.sequences = static_cast<int>(args.sequences.count());
  p.kv_heads = static_cast<int>(args.pages.kv_heads);
  p.head_dim = static_cast<int>(args.pages.head_dim);
  p.heads = static_cast<int>(args.q.dim(1)) / p.head_dim;
  p.page_tokens = static_cast<int>(args.pages.page_tokens);
  p.max_pages = static_cast<int>(args.pages.table.dim(1));
  p.decode = args.sequences.is_decode();
  p.keys = {args.pages.keys, args.pages.dtype};
  p.values = {args.pages.values, args.pages.dtype};
  const int64_t rows = args.q.dim(0);
  if (rows == 0) return absl::OkStatus();
  const int units = 2 * p.kv_heads + (p.q_norm == nullptr ? 0 : p.heads);
  const dim3 grid(static_cast<unsigned>(rows),
                  static_cast<unsigned>((units + kWarps - 1) / kWarps));
  return cuda::Launch(context, "kv_append", KvAppendKernel, {grid, dim3(kWarps * cuda::kWarp)}, p);
}

}  // namespace skein
