// A block owns a tile of columns and a range of inputs, a group of its lanes a fixed part of the
// range: the group lists the inputs that are not zero in some row, then adds their rows of the
// matrix, times the input, in ascending order. Sums of groups, warps and ranges are added in fixed
// order. So what a row sums, and in which order, does not depend on the zeros of the other rows: an
// input that is zero adds nothing, listed or not.
#include <algorithm>
#include <cstdint>

#include <cooperative_groups.h>

#include "absl/status/status.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/stream.cuh"
#include "kernels/linear/sparse_call.h"

namespace skein::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarp;
constexpr int kVector = 8;
constexpr int kLanes = 4;  // of a group: 64 bytes of a row of the matrix
constexpr int kColumns = kLanes * kVector;
constexpr int kMaxPerThread = 32;  // inputs whose zeros a thread looks for: bits of a word
constexpr int kMaxRanges = 8;      // blocks of a cluster
constexpr int kAhead = 4;          // rows of the matrix that a lane asks for at a time
constexpr int kGroups = kThreads / kLanes;
// Shared memory that a block takes at least, so that each has a multiprocessor for itself: while
// the kernel ahead has not ended on all of them, blocks would gather on those that are free.
constexpr size_t kLeastShared = 115 << 10;

// Entries of a group's list: its inputs, and some that spread the groups over the banks.
__host__ __device__ constexpr int ListEntries(int per_thread) {
  return kLanes * per_thread + kAhead;
}

// What a block keeps in shared memory. Each group has a part of the lists as long as its inputs.
template <typename W, int kRows>
struct Shared {
  float* sums;       // [kWarps, kRows, kColumns]
  uint16_t* inputs;  // [capacity]: those that are not zero, counted from the range's begin
  W* values[kRows];  // [capacity] each: their values

  __device__ Shared(void* memory, int capacity) : sums(static_cast<float*>(memory)) {
    inputs = reinterpret_cast<uint16_t*>(sums + kWarps * kRows * kColumns);
    W* next = reinterpret_cast<W*>(inputs + capacity);
#pragma unroll
    for (int m = 0; m < kRows; ++m, next += capacity) values[m] = next;
  }
};

__device__ inline uint32_t Half(const uint4& v, int i) {
  const uint32_t word = i < 2 ? v.x : i < 4 ? v.y : i < 6 ? v.z : v.w;
  return i % 2 == 0 ? word & 0xffffu : word >> 16;
}

// Of an input in all rows, whether one is not zero.
template <int kRows>
__device__ bool Live(const uint4 (&x)[kRows], int i) {
  uint32_t any = 0;
#pragma unroll
  for (int m = 0; m < kRows; ++m) any |= Half(x[m], i);
  return (any & 0x7fffu) != 0;
}

// Lists the live inputs of a group, each lane's behind those of the lanes before it, and zeros up
// to the next multiple of kAhead. Returns how many are live. The thread's inputs begin at `begin`,
// the group's list at `first`.
template <typename W, int kRows>
__device__ int ListLive(const SparseCall& call, int range_begin, int begin, int first,
                        const Shared<W, kRows>& shared) {
  constexpr int kMost = kMaxPerThread / kVector;
  uint4 x[kMost][kRows] = {};
#pragma unroll
  for (int v = 0; v < kMost; ++v) {
    const int at = range_begin + begin + v * kVector;
    if (v * kVector >= call.per_thread || at >= call.inputs) continue;
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      const W* row = static_cast<const W*>(call.problem.x) + static_cast<int64_t>(m) * call.inputs;
      if (m < call.rows) x[v][m] = __ldcg(reinterpret_cast<const uint4*>(row + at));
    }
  }
  int count = 0;
#pragma unroll
  for (int i = 0; i < kMaxPerThread; ++i) count += Live(x[i / kVector], i % kVector) ? 1 : 0;
  const int lane = threadIdx.x % kLanes;
  int through = count;
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const int before = __shfl_up_sync(~0u, through, step, kLanes);
    if (lane >= step) through += before;
  }
  int to = first + through - count;
#pragma unroll
  for (int i = 0; i < kMaxPerThread; ++i) {
    if (!Live(x[i / kVector], i % kVector)) continue;
    shared.inputs[to] = static_cast<uint16_t>(begin + i);
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      reinterpret_cast<uint16_t*>(shared.values[m])[to] =
          static_cast<uint16_t>(Half(x[i / kVector][m], i % kVector));
    }
    ++to;
  }
  const int all = __shfl_sync(~0u, through, kLanes - 1, kLanes);
  if (lane < (kAhead - all % kAhead) % kAhead) {
    shared.inputs[first + all + lane] = 0;
#pragma unroll
    for (int m = 0; m < kRows; ++m) shared.values[m][first + all + lane] = Narrow<W>(0.0f);
  }
  __syncwarp();
  return all;
}

// Four neighbouring entries of a list.
__device__ inline void Read4(const void* from, uint32_t (&to)[kAhead]) {
  const uint2 v = *static_cast<const uint2*>(from);
  to[0] = v.x & 0xffffu, to[1] = v.x >> 16, to[2] = v.y & 0xffffu, to[3] = v.y >> 16;
}

// The listed rows of the matrix, kAhead at a time; those behind the list's end are zeros.
template <typename W, int kRows>
class RowSums {
 public:
  __device__ RowSums(const W* weight, int outputs, const Shared<W, kRows>& shared, int first,
                     int count)
      : weight_(weight), outputs_(outputs), shared_(shared), first_(first), count_(count) {}

  __device__ void Run(float (&sums)[kRows][kVector]) {
    uint4 even[kAhead], odd[kAhead];
    Load(0, even);
    for (int at = 0; at < count_; at += 2 * kAhead) {
      Load(at + kAhead, odd);
      Add(at, even, sums);
      Load(at + 2 * kAhead, even);
      if (at + kAhead < count_) Add(at + kAhead, odd, sums);
    }
  }

 private:
  __device__ void Load(int at, uint4 (&w)[kAhead]) {
    uint32_t inputs[kAhead] = {};
    if (at < count_) Read4(shared_.inputs + first_ + at, inputs);
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      w[i] = LoadStreamingIf(at + i < count_, weight_ + static_cast<int64_t>(inputs[i]) * outputs_,
                             policy_);
    }
  }
  __device__ void Add(int at, const uint4 (&w)[kAhead], float (&sums)[kRows][kVector]) {
    float values[kRows][kAhead];
#pragma unroll
    for (int m = 0; m < kRows; ++m) {
      uint32_t bits[kAhead];
      Read4(shared_.values[m] + first_ + at, bits);
#pragma unroll
      for (int i = 0; i < kAhead; ++i) values[m][i] = WidenBits<W>(bits[i]);
    }
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      float wide[kVector];
      Unpack<W>(w[i], wide);
#pragma unroll
      for (int m = 0; m < kRows; ++m) {
#pragma unroll
        for (int c = 0; c < kVector; ++c) sums[m][c] = fmaf(wide[c], values[m][i], sums[m][c]);
      }
    }
  }

  const W* weight_;
  const int outputs_;
  const Shared<W, kRows>& shared_;
  const int first_, count_;
  const uint64_t policy_ = EvictFirst();
};

// Adds up the groups of a warp and stores the sums of its columns: [rows, columns].
template <int kRows>
__device__ void StoreWarpSums(const float (&sums)[kRows][kVector], float* to) {
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
      if (group == 0) to[m * kColumns + lane * kVector + c] = sum;
    }
  }
}

// Blocks (range, tile); the ranges of a tile are a cluster.
template <typename W, int kRows>
__global__ void __launch_bounds__(kThreads, kRows == 4 ? 1 : 2)
    SparseKernel(const __grid_constant__ SparseCall call) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  extern __shared__ uint4 memory[];
  constexpr int kTile = kRows * kColumns;
  const Shared<W, kRows> shared(memory, kGroups * ListEntries(call.per_thread));
  const GemvProblem& p = call.problem;
  const int ranges = gridDim.x, range_begin = blockIdx.x * kThreads * call.per_thread;
  const int first_column = blockIdx.y * kColumns;
  // The output that this thread finishes, if its block is the one to do so.
  const int row = threadIdx.x / kColumns, output = first_column + threadIdx.x % kColumns;
  const bool mine = blockIdx.x == 0 && threadIdx.x < kTile && row < call.rows && output < p.outputs;
  const int64_t at = static_cast<int64_t>(row) * p.outputs + output;
  DependencyWait();
  ReleaseDependents();

  const int first = threadIdx.x / kLanes * ListEntries(call.per_thread);
  const int count =
      ListLive<W, kRows>(call, range_begin, threadIdx.x * call.per_thread, first, shared);
  const float before = mine && p.accumulate ? __ldcg(static_cast<const float*>(p.y) + at) : 0.0f;
  float sums[kRows][kVector] = {};
  const int column = first_column + threadIdx.x % kLanes * kVector;
  const W* weight =
      static_cast<const W*>(p.weight) + static_cast<int64_t>(range_begin) * p.outputs + column;
  RowSums<W, kRows>(weight, p.outputs, shared, first, column < p.outputs ? count : 0).Run(sums);
  __syncwarp();
  StoreWarpSums<kRows>(sums, shared.sums + threadIdx.x / kWarp * kTile);

  namespace cg = cooperative_groups;
  if (ranges > 1) {
    cg::this_cluster().sync();
  } else {
    __syncthreads();
  }
  float total = 0;
  for (int range = 0; mine && range < ranges; ++range) {
    const float* from =
        ranges > 1 ? cg::this_cluster().map_shared_rank(shared.sums, range) : shared.sums;
    float part = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) part += from[w * kTile + threadIdx.x];
    total += part;
  }
  if (ranges > 1) cg::this_cluster().sync();  // the others' sums live until they have been read
  if (mine) {
    const float y = Activated(total + (p.bias == nullptr ? 0.0f : p.bias[output]), p.activation);
    if (p.y_is_fp32) {
      static_cast<float*>(p.y)[at] = p.accumulate ? before + y : y;
    } else {
      static_cast<W*>(p.y)[at] = Narrow<W>(y);
    }
  }
#endif
}

int DivideUp(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

// Tiles of columns, blocks that share one, and inputs of one of their threads.
struct Cut {
  int tiles, ranges, per_thread;
};
// The fewest ranges that keep the multiprocessors equally busy.
Cut CutWork(int64_t inputs, int64_t outputs, int sm_count) {
  Cut cut;
  cut.tiles = DivideUp(outputs, kColumns);
  int64_t best_blocks = 1, best_waves = 1 << 20;
  for (int ranges = DivideUp(inputs, kThreads * kMaxPerThread); ranges <= kMaxRanges; ++ranges) {
    const int64_t blocks = static_cast<int64_t>(cut.tiles) * ranges;
    const int64_t waves = DivideUp(blocks, sm_count);
    if (waves * best_blocks >= best_waves * blocks) continue;
    cut.ranges = ranges;
    best_blocks = blocks;
    best_waves = waves;
  }
  cut.per_thread =
      DivideUp(inputs, static_cast<int64_t>(cut.ranges) * kThreads * kVector) * kVector;
  return cut;
}

template <typename W, int kRows>
absl::Status LaunchRows(SparseCall call, const CudaContext& context) {
  const Cut cut = CutWork(call.inputs, call.problem.outputs, context.sm_count);
  call.per_thread = cut.per_thread;
  const size_t bytes = kWarps * kRows * kColumns * sizeof(float) +
                       kGroups * ListEntries(cut.per_thread) * (1 + kRows) * sizeof(uint16_t);
  const LaunchShape shape = {dim3(cut.ranges, cut.tiles), kThreads, std::max(bytes, kLeastShared),
                             static_cast<unsigned>(cut.ranges)};
  return Launch(context, "sparse product", SparseKernel<W, kRows>, shape, call);
}

template <typename W>
absl::Status LaunchTyped(const SparseCall& call, const CudaContext& context) {
  if (call.rows == 1) return LaunchRows<W, 1>(call, context);
  if (call.rows == 2) return LaunchRows<W, 2>(call, context);
  return LaunchRows<W, 4>(call, context);
}

}  // namespace

bool SparseTakes(int64_t inputs, int64_t outputs) {
  return inputs % kVector == 0 && outputs % kVector == 0 &&
         inputs <= int64_t{kMaxRanges} * kThreads * kMaxPerThread;
}

absl::Status LaunchSparse(SparseCall call, DType weight_type, const CudaContext& context) {
  if (weight_type == DType::kF16) return LaunchTyped<__half>(call, context);
  return LaunchTyped<__nv_bfloat16>(call, context);
}

}  // namespace skein::cuda
