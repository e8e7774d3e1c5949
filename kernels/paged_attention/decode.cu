// Attention of sequences with one row. A block walks (sequence, split of its tokens, key-value
// head) items; its warps take tiles of 16 tokens in turn, each with a softmax of its own, joined at
// the item's end. The last block to finish an item of a (sequence, head) joins its splits, in their
// order. How a row is cut depends on its own length and on sizes that the host knows, so its bits
// do not depend on the rows beside it.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/softmax.cuh"
#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
constexpr int kTileTokens = 16;
constexpr int kUnitTokens = 256;  // splits are multiples of it
constexpr int kMaxSplits = 64;    // of a row
constexpr int kItemsOfRow = 256;
constexpr int kFewSequences = 64;  // up to which the cuts are the same

// A row's tokens are cut into at most `max_splits` equal splits of whole units.
struct Splitting {
  int max_splits = 1;
  int64_t max_items = 1;
  float* sums = nullptr;         // [items, group, head_dim], weighted sums of values
  float2* stats = nullptr;       // [items, group]: largest score, sum of weights
  uint32_t* counters = nullptr;  // [sequences, kv_heads]

  __host__ __device__ int SplitTokens(int tokens) const {
    const int round = kUnitTokens * max_splits;
    return kUnitTokens * ((tokens + round - 1) / round);
  }
  __host__ __device__ int Splits(int tokens) const {
    if (tokens == 0) return 0;
    const int size = SplitTokens(tokens);
    return (tokens + size - 1) / size;
  }
};

template <int kN>
constexpr int kStages = kN == 64   ? 5
                        : kN == 96 ? 4
                                   : 3;
template <int kN>
constexpr int kTileBytes = kTileTokens* kN * 2;
constexpr int kPad = 8;  // floats behind each row of sums in shared memory

struct Item {
  int sequence = 0, kv_head = 0;
  int split = 0, splits = 0;
  int first_unit = 0;  // index of the row's first split among all splits of the step
  int begin = 0, end = 0;
};

// Where each sequence's splits begin, and its tokens, in shared memory.
struct Plan {
  int* first = nullptr;   // [sequences + 1]
  int* tokens = nullptr;  // [sequences], 0 where this kernel has nothing to do

  // By the whole block. Returns the number of splits.
  __device__ int Make(const Call& call, const Splitting& splitting) {
    __shared__ int warp_sums[kWarps];
    const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
    int before = 0;
    for (int base = 0; base < call.sequences; base += kThreads) {
      const int s = base + static_cast<int>(threadIdx.x);
      int length = 0;
      if (s < call.sequences) {
        const bool decode = call.max_rows == 1;
        const int row = decode ? s : call.row_begin[s];
        const bool single = decode || call.row_begin[s + 1] - row == 1;
        if (call.slots[s] >= 0 && single) length = call.positions[row] + 1;
      }
      int sum = splitting.Splits(length);
#pragma unroll
      for (int step = 1; step < kLanes; step *= 2) {
        const int other = __shfl_up_sync(kAll, sum, step);
        if (lane >= step) sum += other;
      }
      if (lane == kLanes - 1) warp_sums[warp] = sum;
      __syncthreads();
      int total = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        if (w < warp) sum += warp_sums[w];
        total += warp_sums[w];
      }
      if (s < call.sequences) {
        first[s + 1] = before + sum;
        tokens[s] = length;
      }
      before += total;
      __syncthreads();
    }
    if (threadIdx.x == 0) first[0] = 0;
    __syncthreads();
    return before;
  }

  __device__ Item Find(const Call& call, const Splitting& splitting, int index) const {
    const int unit = index / call.kv_heads;
    int low = 0, high = call.sequences - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= unit) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    Item item;
    item.sequence = low;
    item.kv_head = index % call.kv_heads;
    item.first_unit = first[low];
    item.split = unit - item.first_unit;
    item.splits = first[low + 1] - item.first_unit;
    const int size = splitting.SplitTokens(tokens[low]);
    item.begin = item.split * size;
    item.end = min(item.begin + size, tokens[low]);
    return item;
  }
};

// The tiles of one warp, over all items of the block, on their way into shared memory.
template <int kN>
struct TileStream {
  Item item;
  PageCursor pages;
  int index = 0, num_items = 0;  // items of all blocks
  int token = 0;                 // where the next tile begins
  int stage = 0;

  __device__ void Open(const Call& call, const Splitting& splitting, const Plan& plan) {
    const int warp = threadIdx.x / kLanes;
    for (; index < num_items; index += gridDim.x) {
      item = plan.Find(call, splitting, index);
      token = item.begin + warp * kTileTokens;
      pages.Start(call, item.sequence, item.kv_head, item.end);
      if (token < item.end) return;
    }
  }
  // Starts the copies of the next tile, as one group of them: an empty one when all is under way.
  __device__ void Next(const Call& call, const Splitting& splitting, const Plan& plan,
                       uint32_t tiles) {
    if (index < num_items) {
      Copy(call, tiles + stage * 2 * kTileBytes<kN>);
      stage = stage + 1 == kStages<kN> ? 0 : stage + 1;
      token += kWarps * kTileTokens;
      if (token >= item.end) {
        index += gridDim.x;
        Open(call, splitting, plan);
      }
    }
    CommitCopies();
  }
  __device__ void Copy(const Call& call, uint32_t to) {
    using Rows = TileRows<kN>;
    const int lane = threadIdx.x % kLanes;
    const char* keys = static_cast<const char*>(call.keys);
    const char* values = static_cast<const char*>(call.values);
    pages.Seek(call, token);
#pragma unroll
    for (int i = 0; i < kTileTokens * Rows::kChunks / kLanes; ++i) {
      const int row = (i * kLanes + lane) / Rows::kChunks;
      const int chunk = (i * kLanes + lane) % Rows::kChunks;
      const int64_t at = 2 * pages.At(call, token + row) + chunk * 16;
      const bool valid = token + row < item.end;
      CopyAsync(to + Rows::Offset(row, chunk), keys + at, valid);
      CopyAsync(to + kTileBytes<kN> + Rows::Offset(row, chunk), values + at, valid);
    }
  }
};

// Writes the sums of `group` rows, and their statistics, for the other warps.
template <int kN, typename Softmax>
__device__ void Put(Softmax& running, int group, float* sums, float2* stats) {
  const int lane = threadIdx.x % kLanes;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float weights = running.Weights(half);
    const int row = lane / 4 + half * 8;
    if (row >= group) continue;
    if (lane % 4 == 0) stats[row] = make_float2(running.largest[half], weights);
    float* to = sums + row * (kN + kPad) + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < kN / 8; ++i) {
      *reinterpret_cast<float2*>(to + i * 8) =
          make_float2(running.out[i][2 * half], running.out[i][2 * half + 1]);
    }
  }
}

// Where the item's query heads begin in q and y.
__device__ int64_t HeadsOf(const Call& call, const Item& item) {
  const int row = call.max_rows == 1 ? item.sequence : call.row_begin[item.sequence];
  return static_cast<int64_t>(row) * call.width +
         static_cast<int64_t>(item.kv_head) * call.group * call.head_dim;
}

__device__ void StoreQuad(const Call& call, const Item& item, int index, float4 value) {
  const int64_t at = HeadsOf(call, item) + 4 * index;
  StorePair(call.y, call.y_type, at, value.x, value.y);
  StorePair(call.y, call.y_type, at + 2, value.z, value.w);
}

__device__ inline void AddScaled(float4& sum, float4 value, float factor) {
  sum.x = fmaf(value.x, factor, sum.x);
  sum.y = fmaf(value.y, factor, sum.y);
  sum.z = fmaf(value.z, factor, sum.z);
  sum.w = fmaf(value.w, factor, sum.w);
}

// Joins the warps' softmaxes: to y if the item is all of its row, else to the workspace.
template <int kN>
__device__ void JoinWarps(const Call& call, const Splitting& splitting, const Item& item,
                          const float* sums, const float2* stats) {
  const int64_t unit =
      static_cast<int64_t>(item.first_unit + item.split) * call.kv_heads + item.kv_head;
  for (int i = threadIdx.x; i < call.group * kN / 4; i += kThreads) {
    const int row = i / (kN / 4), column = i % (kN / 4) * 4;
    float largest = -INFINITY, weights = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, stats[w * call.group + row].x);
    float4 sum = {};
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const float2 stat = stats[w * call.group + row];
      const float factor = Exp2(stat.x - largest);
      weights = fmaf(stat.y, factor, weights);
      const float* from = sums + (w * call.group + row) * (kN + kPad) + column;
      AddScaled(sum, *reinterpret_cast<const float4*>(from), factor);
    }
    if (item.splits == 1) {
      float4 y = {};
      AddScaled(y, sum, 1.0f / weights);
      StoreQuad(call, item, i, y);
      continue;
    }
    reinterpret_cast<float4*>(splitting.sums + unit * call.group * kN)[i] = sum;
    if (column == 0) splitting.stats[unit * call.group + row] = make_float2(largest, weights);
  }
}

// Joins all splits of the item's row and head. `factors` holds kMaxSplits * group floats.
template <int kN>
__device__ void JoinSplits(const Call& call, const Splitting& splitting, const Item& item,
                           float* factors) {
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
  const int64_t first = static_cast<int64_t>(item.first_unit) * call.kv_heads + item.kv_head;
  for (int row = warp; row < call.group; row += kWarps) {
    float2 stat[kMaxSplits / kLanes];
    float largest = -INFINITY, weights = 0;
#pragma unroll
    for (int i = 0; i < kMaxSplits / kLanes; ++i) {
      const int split = i * kLanes + lane;
      stat[i] = make_float2(-INFINITY, 0);
      if (split < item.splits) {
        stat[i] = __ldcg(splitting.stats + (first + split * call.kv_heads) * call.group + row);
      }
      largest = fmaxf(largest, stat[i].x);
    }
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) {
      largest = fmaxf(largest, __shfl_xor_sync(kAll, largest, step));
    }
#pragma unroll
    for (int i = 0; i < kMaxSplits / kLanes; ++i) {
      stat[i].x = Exp2(stat[i].x - largest);
      weights = fmaf(stat[i].x, stat[i].y, weights);
    }
#pragma unroll
    for (int step = kLanes / 2; step > 0; step /= 2) {
      weights += __shfl_xor_sync(kAll, weights, step);
    }
#pragma unroll
    for (int i = 0; i < kMaxSplits / kLanes; ++i) {
      const int split = i * kLanes + lane;
      if (split < item.splits) factors[split * call.group + row] = stat[i].x / weights;
    }
  }
  __syncthreads();
  const int64_t stride = static_cast<int64_t>(call.kv_heads) * call.group * kN / 4;
  for (int i = threadIdx.x; i < call.group * kN / 4; i += kThreads) {
    const int row = i / (kN / 4);
    const float4* from =
        reinterpret_cast<const float4*>(splitting.sums) + first * call.group * kN / 4 + i;
    float4 sum = {};
#pragma unroll 8
    for (int split = 0; split < item.splits; ++split) {
      AddScaled(sum, __ldcg(from + split * stride), factors[split * call.group + row]);
    }
    StoreQuad(call, item, i, sum);
  }
}

// True in the block that is the last of the item's row and head to come here.
__device__ bool LastToArrive(const Call& call, const Splitting& splitting, const Item& item) {
  __shared__ bool last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t* counter = splitting.counters + item.sequence * call.kv_heads + item.kv_head;
    last = atomicAdd(counter, 1u) == static_cast<uint32_t>(item.splits - 1);
    if (last) *counter = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

template <typename T, int kN>
__global__ void __launch_bounds__(kThreads, 2)
    DecodeKernel(const __grid_constant__ Call call, const __grid_constant__ Splitting splitting) {
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr int kWarpBytes = kStages<kN> * 2 * kTileBytes<kN>;
  float* sums = reinterpret_cast<float*>(shared + kWarps * kWarpBytes);
  float2* stats = reinterpret_cast<float2*>(sums + kWarps * call.group * (kN + kPad));
  Plan plan;
  plan.first = reinterpret_cast<int*>(stats + kWarps * call.group);
  plan.tokens = plan.first + call.sequences + 1;
  const int warp = threadIdx.x / kLanes, low = threadIdx.x % kLanes / 4;
  const uint32_t tiles =
      static_cast<uint32_t>(__cvta_generic_to_shared(shared + warp * kWarpBytes));
  const float scale = 1.44269504088896341f / sqrtf(static_cast<float>(kN));

  cuda::DependencyWait();
  cuda::ReleaseDependents();
  TileStream<kN> stream;
  stream.num_items = plan.Make(call, splitting) * call.kv_heads;
  stream.index = blockIdx.x;
  stream.Open(call, splitting, plan);
#pragma unroll
  for (int i = 0; i < kStages<kN> - 1; ++i) stream.Next(call, splitting, plan, tiles);

  int stage = 0;
  for (int index = blockIdx.x; index < stream.num_items; index += gridDim.x) {
    const Item item = plan.Find(call, splitting, index);
    uint32_t q[kN / 16][4];
    const int64_t heads = HeadsOf(call, item);
    LoadQueries<T, kN>(call,
                       {low < call.group ? heads + low * kN : -1,
                        low + 8 < call.group ? heads + (low + 8) * kN : -1},
                       q);
    Running<T, kN, kTileTokens> running;
    running.Clear();
    for (int token = item.begin + warp * kTileTokens; token < item.end;
         token += kWarps * kTileTokens) {
      stream.Next(call, splitting, plan, tiles);
      WaitCopies<kStages<kN> - 1>();
      __syncwarp();
      const int visible = item.end - token;
      running.Add(q, tiles + stage * 2 * kTileBytes<kN>, visible, visible, call.group > 8, scale);
      stage = stage + 1 == kStages<kN> ? 0 : stage + 1;
      __syncwarp();
    }
    Put<kN>(running, call.group, sums + warp * call.group * (kN + kPad), stats + warp * call.group);
    __syncthreads();
    JoinWarps<kN>(call, splitting, item, sums, stats);
    if (item.splits > 1 && LastToArrive(call, splitting, item)) {
      JoinSplits<kN>(call, splitting, item, sums);
    }
    __syncthreads();
  }
  WaitCopies<0>();
}

size_t ItemBytes(const Call& call) {
  return call.group * (call.head_dim * sizeof(float) + sizeof(float2));
}

// A long row alone is cut into kItemsOfRow items; fewer where many rows fill the machine by
// themselves, so that the workspace stays small, and no more than it holds.
int MaxSplits(const Call& call, const CudaContext& context) {
  if (context.num_counters < int64_t{call.sequences} * call.kv_heads) return 1;
  const int64_t units =
      (int64_t{call.max_pages} * call.page_tokens + kUnitTokens - 1) / kUnitTokens;
  const int64_t crowd = int64_t{std::max(call.sequences, kFewSequences)} * call.kv_heads;
  const int64_t room = static_cast<int64_t>(context.workspace_bytes / ItemBytes(call)) /
                       (int64_t{call.sequences} * call.kv_heads);
  const int64_t splits = std::min({units, int64_t{kMaxSplits}, int64_t{kItemsOfRow} / call.kv_heads,
                                   int64_t{kFewSequences} * kItemsOfRow / crowd, room});
  return static_cast<int>(std::max<int64_t>(1, splits));
}

template <typename T, int kN>
absl::Status Launch(const Call& call, const Splitting& splitting, const CudaContext& context) {
  const size_t bytes = kWarps * kStages<kN> * 2 * kTileBytes<kN> +
                       kWarps * call.group * ((kN + kPad) * sizeof(float) + sizeof(float2)) +
                       (2 * call.sequences + 1) * sizeof(int);
  const int64_t blocks = std::min<int64_t>(2 * context.sm_count, splitting.max_items);
  return cuda::Launch(context, "paged_attention", DecodeKernel<T, kN>,
                      {dim3(static_cast<unsigned>(blocks)), dim3(kThreads), bytes}, call,
                      splitting);
}

template <typename T>
absl::Status LaunchFor(const Call& call, const Splitting& splitting, const CudaContext& context) {
  switch (call.head_dim) {
    case 64:
      return Launch<T, 64>(call, splitting, context);
    case 96:
      return Launch<T, 96>(call, splitting, context);
    default:
      return Launch<T, 128>(call, splitting, context);
  }
}

}  // namespace

absl::Status LaunchDecode(const Call& call, const CudaContext& context) {
  if (call.sequences == 0) return absl::OkStatus();
  Splitting splitting;
  splitting.max_splits = MaxSplits(call, context);
  splitting.max_items = int64_t{call.sequences} * splitting.max_splits * call.kv_heads;
  splitting.sums = static_cast<float*>(context.workspace);
  splitting.stats =
      reinterpret_cast<float2*>(splitting.sums + splitting.max_items * call.group * call.head_dim);
  splitting.counters = context.counters;
  return call.kv_type == DType::kF16 ? LaunchFor<__half>(call, splitting, context)
                                     : LaunchFor<__nv_bfloat16>(call, splitting, context);
}

}  // namespace skein::attention
