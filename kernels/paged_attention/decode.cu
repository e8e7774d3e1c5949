// Attention of sequences with one row. A block walks items, which are splits of a row for one
// key-value head; its warps take tiles of 16 tokens in turn, each with a softmax of its own, joined
// at the item's end. The last block to finish an item of a row and head joins its splits, in their
// order.
#include <algorithm>
#include <cmath>

#include "kernels/cuda/launch.h"
#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/decode_plan.cuh"
#include "kernels/paged_attention/softmax.cuh"
#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kLanes;
constexpr int kBlocksPerSm = 2;
constexpr int kTileTokens = 16;
constexpr int kMaxGroup = 16;
constexpr int kItemsPerBlock = 2;   // so that blocks with short rows help out
constexpr int kFewSequences = 64;   // up to which batch-invariant rows are cut alike
constexpr int kInvariantCrowd = 4;  // as if there were so many sequences

template <int kN>
constexpr int kStages = kN == 64   ? 5
                        : kN == 96 ? 4
                                   : 3;
// A tile of keys or of values. The two of a stage have room for the sums of kMaxGroup heads.
template <int kN>
constexpr int kTileBytes = kTileTokens* kN * 2;
template <int kN>
constexpr int kStageBytes = 2 * kTileBytes<kN>;
static_assert(kStageBytes<64> == kMaxGroup * 64 * sizeof(float));

struct Workspace {
  float* sums = nullptr;         // [items, group, head_dim], weighted sums of values
  float2* stats = nullptr;       // [items, group]: largest score, sum of weights
  uint32_t* counters = nullptr;  // [sequences, kv_heads]
};

using DecodePlan = Plan<kThreads>;

// The tiles of one warp, over all items of the block, on their way into shared memory.
template <int kN>
struct TileStream {
  Item item;
  PageCursor pages;
  int index = 0, num_items = 0;  // items of all blocks
  int token = 0;                 // where the next tile begins
  int stage = 0;

  __device__ void Open(const Call& call, const DecodePlan& plan) {
    const int warp = threadIdx.x / kLanes;
    for (; index < num_items; index += gridDim.x) {
      item = plan.Find(call, index);
      token = item.begin + warp * kTileTokens;
      pages.Start(call, item.sequence, item.kv_head, item.end);
      if (token < item.end) return;
    }
  }
  // Whether the next tile holds the row's own token.
  __device__ bool AtNewestToken() const {
    return index < num_items && item.split + 1 == item.splits && token + kTileTokens >= item.end;
  }
  // Starts the copies of the next tile, as one group of them: an empty one when all is under way.
  __device__ void Next(const Call& call, const DecodePlan& plan, uint32_t tiles) {
    if (index < num_items) {
      Copy(call, tiles + stage * kStageBytes<kN>);
      stage = stage + 1 == kStages<kN> ? 0 : stage + 1;
      token += kWarps * kTileTokens;
      if (token >= item.end) {
        index += gridDim.x;
        Open(call, plan);
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

// Where the item's query heads begin in q and y.
__device__ int64_t HeadsOf(const Call& call, const Item& item) {
  const int row = call.max_rows == 1 ? item.sequence : call.row_begin[item.sequence];
  return static_cast<int64_t>(row) * call.width +
         static_cast<int64_t>(item.kv_head) * call.group * call.head_dim;
}

// Sums of an item in the warps' free stages: [group][kN] of each warp, four columns permuted by the
// row so that the rows of a store lie in different banks.
template <int kN>
struct WarpSums {
  unsigned char* tiles;        // of warp 0
  const int* stages;           // [kWarps], the free ones
  float2 (*stats)[kMaxGroup];  // [kWarps][kMaxGroup]

  __device__ float* At(int warp, int row, int quad) const {
    float* sums = reinterpret_cast<float*>(tiles + warp * kStages<kN> * kStageBytes<kN> +
                                           stages[warp] * kStageBytes<kN>);
    return sums + row * kN + ((quad ^ (row & 7)) << 2);
  }
};

// Writes a warp's sums, and their statistics, for the other warps.
template <int kN, typename Softmax>
__device__ void Put(Softmax& running, int group, const WarpSums<kN>& sums) {
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float weights = running.Weights(half);
    const int row = lane / 4 + half * 8;
    if (row >= group) continue;
    if (lane % 4 == 0) sums.stats[warp][row] = make_float2(running.largest[half], weights);
#pragma unroll
    for (int i = 0; i < kN / 8; ++i) {
      float* to = sums.At(warp, row, 2 * i + lane % 4 / 2) + lane % 2 * 2;
      *reinterpret_cast<float2*>(to) =
          make_float2(running.out[i][2 * half], running.out[i][2 * half + 1]);
    }
  }
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
__device__ void JoinWarps(const Call& call, const Workspace& workspace, const Item& item,
                          const WarpSums<kN>& sums) {
  const int64_t unit = static_cast<int64_t>(item.first + item.split) * call.kv_heads + item.kv_head;
  for (int i = threadIdx.x; i < call.group * kN / 4; i += kThreads) {
    const int row = i / (kN / 4), quad = i % (kN / 4);
    float largest = -INFINITY, weights = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, sums.stats[w][row].x);
    float4 sum = {};
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const float2 stat = sums.stats[w][row];
      const float factor = Exp2(stat.x - largest);
      weights = fmaf(stat.y, factor, weights);
      AddScaled(sum, *reinterpret_cast<const float4*>(sums.At(w, row, quad)), factor);
    }
    if (item.splits == 1) {
      float4 y = {};
      AddScaled(y, sum, 1.0f / weights);
      StoreQuad(call, item, i, y);
      continue;
    }
    reinterpret_cast<float4*>(workspace.sums + unit * call.group * kN)[i] = sum;
    if (quad == 0) workspace.stats[unit * call.group + row] = make_float2(largest, weights);
  }
}

// What each split of a row's head counts, [splits, group], by a warp per head.
__device__ void WeighSplits(const Call& call, const Workspace& workspace, const Item& item,
                            float* factors) {
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
  const int64_t first = static_cast<int64_t>(item.first) * call.kv_heads + item.kv_head;
  for (int row = warp; row < call.group; row += kWarps) {
    float2 stat[kMaxSplits / kLanes];
    float largest = -INFINITY, weights = 0;
#pragma unroll
    for (int i = 0; i < kMaxSplits / kLanes; ++i) {
      const int split = i * kLanes + lane;
      stat[i] = make_float2(-INFINITY, 0);
      if (split < item.splits) {
        stat[i] = __ldcg(workspace.stats + (first + split * call.kv_heads) * call.group + row);
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
}

// Joins all splits of the item's row and head. `factors` has room for kMaxSplits * kMaxGroup.
template <int kN>
__device__ void JoinSplits(const Call& call, const Workspace& workspace, const Item& item,
                           float* factors) {
  const int quads = call.group * kN / 4;
  const int64_t first = static_cast<int64_t>(item.first) * call.kv_heads + item.kv_head;
  const float4* sums = reinterpret_cast<const float4*>(workspace.sums) + first * quads;
  WeighSplits(call, workspace, item, factors);
  __syncthreads();
  for (int i = threadIdx.x; i < quads; i += kThreads) {
    const int row = i / (kN / 4);
    float4 sum = {};
#pragma unroll 16
    for (int split = 0; split < item.splits; ++split) {
      const float4 part = __ldcg(sums + static_cast<int64_t>(split) * call.kv_heads * quads + i);
      AddScaled(sum, part, factors[split * call.group + row]);
    }
    StoreQuad(call, item, i, sum);
  }
}

// True in the block that is the last of the item's row and head to come here. What all threads
// wrote before is seen by that block after it.
__device__ bool LastToArrive(const Call& call, const Workspace& workspace, const Item& item) {
  __shared__ bool last;
  __syncthreads();
  if (threadIdx.x == 0) {
    uint32_t* counter = workspace.counters + item.sequence * call.kv_heads + item.kv_head;
    uint32_t before;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], 1;\n"
                 : "=r"(before)
                 : "l"(counter)
                 : "memory");
    last = before == static_cast<uint32_t>(item.splits - 1);
    if (last) *counter = 0;
  }
  __syncthreads();
  return last;
}

template <typename T, int kN>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm)
    DecodeKernel(const __grid_constant__ Call call, const Splitting splitting,
                 const Workspace workspace) {
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ float2 stats[kWarps][kMaxGroup];
  __shared__ int free_stages[kWarps];
  constexpr int kWarpBytes = kStages<kN> * kStageBytes<kN>;
  static_assert(kWarpBytes >= kMaxSplits * kMaxGroup * sizeof(float));
  DecodePlan plan;
  plan.splitting = splitting;
  plan.first = reinterpret_cast<int*>(shared + kWarps * kWarpBytes);
  plan.tokens = plan.first + call.sequences + 1;
  const int warp = threadIdx.x / kLanes, low = threadIdx.x % kLanes / 4;
  const uint32_t tiles =
      static_cast<uint32_t>(__cvta_generic_to_shared(shared + warp * kWarpBytes));
  const WarpSums<kN> sums = {shared, free_stages, stats};
  const float scale = 1.44269504088896341f / sqrtf(static_cast<float>(kN));

  // Of what is read here, only the rows' own tokens come from the kernel just before.
  TileStream<kN> stream;
  stream.num_items = plan.Make(call) * call.kv_heads;
  stream.index = blockIdx.x;
  stream.Open(call, plan);
  int started = 0;
  for (; started < kStages<kN> - 1 && !stream.AtNewestToken(); ++started) {
    stream.Next(call, plan, tiles);
  }
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  for (; started < kStages<kN> - 1; ++started) stream.Next(call, plan, tiles);

  int stage = 0;
  for (int index = blockIdx.x; index < stream.num_items; index += gridDim.x) {
    const Item item = plan.Find(call, index);
    const int64_t heads = HeadsOf(call, item);
    uint32_t q[kN / 16][4];
    LoadQueries<T, kN>(call,
                       {low < call.group ? heads + low * kN : -1,
                        low + 8 < call.group ? heads + (low + 8) * kN : -1},
                       q);
    Running<T, kN, kTileTokens> running;
    running.Clear();
    for (int token = item.begin + warp * kTileTokens; token < item.end;
         token += kWarps * kTileTokens) {
      stream.Next(call, plan, tiles);
      WaitCopies<kStages<kN> - 1>();
      __syncwarp();
      const int visible = item.end - token;
      running.Add(q, tiles + stage * kStageBytes<kN>, visible, visible, call.group > 8, scale);
      stage = stage + 1 == kStages<kN> ? 0 : stage + 1;
      __syncwarp();
    }
    // The stage that the next copy goes to is free until then.
    if (threadIdx.x % kLanes == 0) free_stages[warp] = (stage + kStages<kN> - 1) % kStages<kN>;
    __syncwarp();
    Put(running, call.group, sums);
    __syncthreads();
    JoinWarps(call, workspace, item, sums);
    if (item.splits > 1 && LastToArrive(call, workspace, item)) {
      JoinSplits<kN>(call, workspace, item, sums.At(0, 0, 0));
    }
    __syncthreads();
  }
  WaitCopies<0>();
}

int64_t ItemBytes(const Call& call) {
  return call.group * (call.head_dim * static_cast<int64_t>(sizeof(float)) + sizeof(float2));
}

Splitting ChooseSplitting(const Call& call, const CudaContext& context) {
  const bool invariant = context.batch_invariant && call.sequences <= kFewSequences;
  const int64_t items = int64_t{kItemsPerBlock} * kBlocksPerSm * context.sm_count;
  const int64_t crowd = int64_t{invariant ? kInvariantCrowd : call.sequences} * call.kv_heads;
  const int64_t heads = int64_t{invariant ? kFewSequences : call.sequences} * call.kv_heads;
  const int64_t room = static_cast<int64_t>(context.workspace_bytes) / ItemBytes(call) / heads;
  const bool counted = context.num_counters >= int64_t{call.sequences} * call.kv_heads;
  Splitting splitting;
  splitting.max_splits = static_cast<int>(std::clamp<int64_t>(counted ? room : 1, 1, kMaxSplits));
  splitting.wanted =
      static_cast<int>(std::clamp<int64_t>((items + crowd - 1) / crowd, 1, splitting.max_splits));
  return splitting;
}

// The most items that the step can have.
int64_t MaxItems(const Call& call, const Splitting& splitting) {
  const int64_t tokens = int64_t{call.max_pages} * call.page_tokens;
  const int64_t units = (tokens + kUnitTokens - 1) / kUnitTokens;
  const int64_t large = (tokens + kMaxSplitTokens - 1) / kMaxSplitTokens;
  const int64_t splits =
      std::min({int64_t{splitting.max_splits}, units, std::max<int64_t>(splitting.wanted, large)});
  return int64_t{call.sequences} * splits * call.kv_heads;
}

template <typename T, int kN>
absl::Status Launch(const Call& call, const CudaContext& context) {
  const Splitting splitting = ChooseSplitting(call, context);
  const int64_t items = MaxItems(call, splitting);
  Workspace workspace;
  workspace.sums = static_cast<float*>(context.workspace);
  workspace.stats = reinterpret_cast<float2*>(workspace.sums + items * call.group * kN);
  workspace.counters = context.counters;
  const size_t bytes = kWarps * kStages<kN> * kStageBytes<kN> + DecodePlan::Bytes(call.sequences);
  const int64_t blocks = std::min<int64_t>(int64_t{kBlocksPerSm} * context.sm_count, items);
  return cuda::Launch(context, "paged_attention", DecodeKernel<T, kN>,
                      {dim3(static_cast<unsigned>(blocks)), dim3(kThreads), bytes}, call, splitting,
                      workspace);
}

template <typename T>
absl::Status LaunchFor(const Call& call, const CudaContext& context) {
  switch (call.head_dim) {
    case 64:
      return Launch<T, 64>(call, context);
    case 96:
      return Launch<T, 96>(call, context);
    default:
      return Launch<T, 128>(call, context);
  }
}

}  // namespace

absl::Status LaunchDecode(const Call& call, const CudaContext& context) {
  if (call.sequences == 0) return absl::OkStatus();
  return call.kv_type == DType::kF16 ? LaunchFor<__half>(call, context)
                                     : LaunchFor<__nv_bfloat16>(call, context);
}

}  // namespace skein::attention
