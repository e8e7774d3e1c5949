// A block owns a tile of columns and a range of inputs, a group of lanes a fixed part of the range:
// the group lists the inputs that are not zero in some row, then adds their rows of the matrix in
// ascending order. What a row sums, and in which order, does not depend on the zeros of the other
// rows: an input that is zero adds nothing, listed or not.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/sparse_call.h"
#include "kernels/linear/stream.cuh"

namespace skein::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;
constexpr int kVector = 8;
constexpr int kMaxPerThread = 32;  // inputs whose zeros a thread looks for: bits of a word

template <int kLanes>
constexpr int kColumns = kLanes* kVector;  // of a tile

// What a block keeps in shared memory of its range of the inputs: every row's values, and per lane
// group the inputs that are not zero in some row, as distances from the range's begin.
template <typename W, int kRows>
struct Shared {
  float* warp_sums;  // [kWarps, kTile]
  W* values[kRows];  // [capacity] each
  uint16_t* list;    // [capacity]

  __device__ Shared(void* memory, int tile, int capacity) : warp_sums(static_cast<float*>(memory)) {
    W* next = reinterpret_cast<W*>(warp_sums + kWarps * tile);
#pragma unroll
    for (int m = 0; m < kRows; ++m, next += capacity) values[m] = next;
    list = reinterpret_cast<uint16_t*>(next);
  }
};

// Bit i: whether value i of a vector is not zero.
__device__ inline uint32_t LiveBits(const uint4& v) {
  const uint32_t words[4] = {v.x, v.y, v.z, v.w};
  uint32_t live = 0;
#pragma unroll
  for (int i = 0; i < kVector; ++i) {
    if (((words[i / 2] >> (i % 2 * 16)) & 0x7fffu) != 0) live |= 1u << i;
  }
  return live;
}

// Copies the thread's inputs, [begin, begin + 8 * vectors) of the block's range, to shared memory
// and returns which of them are live, at most 32.
template <typename W, int kRows>
__device__ uint32_t LoadMine(const SparseCall& call, int range_begin, int begin, int vectors,
                             const Shared<W, kRows>& shared) {
  constexpr int kMost = kMaxPerThread / kVector;
  uint32_t live = 0;
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
    const W* x = static_cast<const W*>(call.problem.x) + static_cast<int64_t>(m) * call.inputs;
    uint4 bits[kMost] = {};
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      const int at = range_begin + begin + i * kVector;
      if (i < vectors && m < call.rows && at < call.inputs) {
        bits[i] = __ldcg(reinterpret_cast<const uint4*>(x + at));
      }
    }
#pragma unroll
    for (int i = 0; i < kMost; ++i) {
      if (i >= vectors) continue;
      *reinterpret_cast<uint4*>(shared.values[m] + begin + i * kVector) = bits[i];
      live |= LiveBits(bits[i]) << (i * kVector);
    }
  }
  return live;
}

// Lists the live inputs of a lane group, each lane's behind those of the lanes before it; returns
// how many there are. `first` is where the group's list begins.
template <int kLanes>
__device__ int ListLive(uint32_t live, int begin, int first, uint16_t* list) {
  const int lane = threadIdx.x % kLanes, count = __popc(live);
  int through = count;
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const int before = __shfl_up_sync(~0u, through, step, kLanes);
    if (lane >= step) through += before;
  }
  uint16_t* to = list + first + through - count;
  for (; live != 0; live &= live - 1) *to++ = static_cast<uint16_t>(begin + __ffs(live) - 1);
  const int all = __shfl_sync(~0u, through, kLanes - 1, kLanes);
  __syncwarp();
  return all;
}

// sums[m] += value of row m * row of the matrix, for the inputs of a list.
template <typename W, int kRows>
__device__ void AddRows(const W* weight, int outputs, const Shared<W, kRows>& shared,
                        const uint16_t* list, int count, float (&sums)[kRows][kVector]) {
  constexpr int kAhead = kRows == 4 ? 6 : 8;
  const uint64_t policy = EvictFirst();
  for (int at = 0; at < count; at += kAhead) {
    uint4 w[kAhead];
    int input[kAhead];
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (at + i >= count) continue;
      input[i] = list[at + i];
      w[i] = LoadStreaming(weight + static_cast<int64_t>(input[i]) * outputs, policy);
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      if (at + i >= count) continue;
      float wide[kVector];
      Unpack<W>(w[i], wide);
#pragma unroll
      for (int m = 0; m < kRows; ++m) {
        const float value = Widen(shared.values[m][input[i]]);
#pragma unroll
        for (int c = 0; c < kVector; ++c) sums[m][c] = fmaf(wide[c], value, sums[m][c]);
      }
    }
  }
}

// Adds up the groups of a warp and stores the sums of its columns: [rows, columns].
template <int kRows, int kLanes>
__device__ void StoreWarpSums(float (&sums)[kRows][kVector], float* to) {
  const int lane = threadIdx.x % kLanes, group = threadIdx.x % kWarp / kLanes;
#pragma unroll
  for (int m = 0; m < kRows; ++m) {
#pragma unroll
    for (int c = 0; c < kVector; ++c) {
      float sum = sums[m][c];
#pragma unroll
      for (int step = kWarp / 2; step >= kLanes; step /= 2) {
        sum += __shfl_xor_sync(~0u, sum, step);
      }
      if (group == 0) to[m * kColumns<kLanes> + lane * kVector + c] = sum;
    }
  }
}

// Whether this block is the last of its tile; it then sees the sums of the others.
__device__ inline bool ArriveLast(uint32_t* arrivals, int blocks) {
  __shared__ int last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    last = atomicAdd(arrivals, 1u) == static_cast<uint32_t>(blocks) - 1;
    if (last != 0) *arrivals = 0;
  }
  __syncthreads();
  __threadfence();
  return last != 0;
}

template <typename W, int kRows, int kLanes>
__global__ void __launch_bounds__(kThreads, kRows == 4 ? 1 : 2)
    SparseKernel(const __grid_constant__ SparseCall call) {
  extern __shared__ uint4 memory[];
  constexpr int kTile = kRows * kColumns<kLanes>;
  static_assert(kTile <= kThreads);
  const int per_thread = call.per_thread, capacity = kThreads * per_thread;
  const Shared<W, kRows> shared(memory, kTile, capacity);
  const GemvProblem& p = call.problem;
  const int range_begin = blockIdx.y * capacity, begin = threadIdx.x * per_thread;
  const int first_column = blockIdx.x * kColumns<kLanes>;
  const int column = first_column + threadIdx.x % kLanes * kVector;
  DependencyWait();
  ReleaseDependents();

  // The output that this thread finishes.
  const int row = threadIdx.x / kColumns<kLanes>;
  const int output = first_column + threadIdx.x % kColumns<kLanes>;
  const bool mine = threadIdx.x < kTile && row < call.rows && output < p.outputs;
  const int64_t at = static_cast<int64_t>(row) * p.outputs + output;
  const float before = mine && p.accumulate ? __ldcg(static_cast<const float*>(p.y) + at) : 0.0f;

  const uint32_t live = LoadMine(call, range_begin, begin, per_thread / kVector, shared);
  const int first = threadIdx.x / kLanes * kLanes * per_thread;
  const int count = ListLive<kLanes>(live, begin, first, shared.list);
  float sums[kRows][kVector] = {};
  if (column < p.outputs) {
    const W* weight = static_cast<const W*>(p.weight) + column;
    AddRows(weight + static_cast<int64_t>(range_begin) * p.outputs, p.outputs, shared,
            shared.list + first, count, sums);
  }
  __syncwarp();
  StoreWarpSums<kRows, kLanes>(sums, shared.warp_sums + threadIdx.x / kWarp * kTile);
  __syncthreads();
  float total = 0;
  if (mine) {
    for (int w = 0; w < kWarps; ++w) total += shared.warp_sums[w * kTile + threadIdx.x];
  }
  if (call.ranges > 1) {
    const int64_t stride = static_cast<int64_t>(call.rows) * p.outputs;
    if (mine) __stcg(call.partial + blockIdx.y * stride + at, total);
    if (!ArriveLast(call.arrivals + blockIdx.x, call.ranges)) return;
    total = 0;
    for (int i = 0; mine && i < call.ranges; ++i) total += __ldcg(call.partial + i * stride + at);
  }
  if (!mine) return;
  const float y = Activated(total + (p.bias == nullptr ? 0.0f : p.bias[output]), p.activation);
  if (p.y_is_fp32) {
    static_cast<float*>(p.y)[at] = p.accumulate ? before + y : y;
  } else {
    static_cast<W*>(p.y)[at] = Narrow<W>(y);
  }
}

constexpr int kLanes = 16;  // of a group: 256 bytes of a row of the matrix

// Tiles of columns, blocks that share one, and inputs of one of their threads.
struct Cut {
  int tiles, ranges, per_thread;
};
Cut CutWork(int64_t inputs, int64_t outputs, const CudaContext& context) {
  const auto divide = [](int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); };
  Cut cut;
  cut.tiles = divide(outputs, kColumns<kLanes>);
  const int wanted = context.sm_count / cut.tiles;
  cut.ranges = std::max({1, wanted, divide(inputs, kThreads * kMaxPerThread)});
  cut.per_thread = divide(inputs, cut.ranges * kThreads * kVector) * kVector;
  cut.ranges = divide(inputs, kThreads * cut.per_thread);
  return cut;
}

template <typename W, int kRows>
absl::Status LaunchRows(SparseCall call, const CudaContext& context) {
  const Cut cut = CutWork(call.inputs, call.problem.outputs, context);
  call.ranges = cut.ranges;
  call.per_thread = cut.per_thread;
  call.partial = static_cast<float*>(context.workspace);
  call.arrivals = context.counters;
  const size_t bytes =
      kWarps * kRows * kColumns<kLanes> * sizeof(float) +
      static_cast<size_t>(kThreads) * cut.per_thread * (1 + kRows) * sizeof(uint16_t);
  const LaunchShape shape = {dim3(cut.tiles, cut.ranges), kThreads, bytes};
  return Launch(context, "sparse product", SparseKernel<W, kRows, kLanes>, shape, call);
}

template <typename W>
absl::Status LaunchTyped(const SparseCall& call, const CudaContext& context) {
  if (call.rows == 1) return LaunchRows<W, 1>(call, context);
  if (call.rows == 2) return LaunchRows<W, 2>(call, context);
  return LaunchRows<W, 4>(call, context);
}

}  // namespace

bool SparseFits(int rows, int64_t inputs, int64_t outputs, const CudaContext& context) {
  if (inputs % kVector != 0 || outputs % kVector != 0) return false;
  const Cut cut = CutWork(inputs, outputs, context);
  return cut.ranges == 1 ||
         (cut.tiles <= context.num_counters &&
          cut.ranges * rows * outputs * sizeof(float) <= context.workspace_bytes);
}

absl::Status LaunchSparse(const SparseCall& call, DType weight_type, const CudaContext& context) {
  if (weight_type == DType::kF16) return LaunchTyped<__half>(call, context);
  return LaunchTyped<__nv_bfloat16>(call, context);
}

}  // namespace skein::cuda
