// The kernel of tile_products.h: one or two blocks per multiprocessor. Two warpgroups of a block
// multiply, and finish a tile from their registers; one thread fills a ring of shared-memory stages
// with bulk copies. Blocks take tiles in turn.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/hopper.cuh"
#include "kernels/linear/product_group.h"
#include "kernels/linear/wgmma.cuh"

namespace skein::cuda {

struct TileProblem {
  CUtensorMap x;  // boxes of 64 inputs and a tile's rows
  CUtensorMap w;  // boxes of 64 inputs and a tile's outputs, or of 64 outputs and 64 inputs
  const float* bias;
  void* y;
  int outputs;
  int steps;       // of 64 inputs
  int columns;     // tiles side by side
  int first_unit;  // of all problems' units in a row
  bool f32;        // y, else the type of the operands
  bool accumulate;
  Activation activation;
};

// A unit is what a cluster does at a time: a tile, or two with neighbouring rows.
struct TileLaunch {
  TileProblem problems[ProductGroup::kMax];
  int count;
  int rows;
  int row_units;
  int band;   // row units that run side by side before the next columns
  int units;  // of all problems
  int split;  // blocks that share the inputs of a tile; the cluster's size unless in pairs
  uint64_t weight_policy;
};

inline constexpr int kTileConsumers = 256;
inline constexpr int kTileStep = 64;  // inputs of a stage
inline constexpr int kMaxSharedBytes = 232448;

// kBlocksOf: blocks of a multiprocessor. Two leave room for the next kernel's first block.
template <int kRowsOf, int kColsOf, int kBlocksOf, bool kPairOf, typename Type, bool kAcrossOf>
struct TileShape {
  using T = Type;
  static constexpr int kRows = kRowsOf, kCols = kColsOf, kBlocks = kBlocksOf;
  static constexpr bool kPair = kPairOf, kAcross = kAcrossOf;
  static constexpr int kXBytes = kRows * 128, kWBytes = kCols * 128;
  static constexpr int kStageBytes = kXBytes + kWBytes;
  static constexpr int kStages = (kMaxSharedBytes / kBlocks - 2560) / kStageBytes;
  static constexpr int kSharedBytes = kStages * kStageBytes + 2048;
  static constexpr int kThreads = kTileConsumers + (kBlocks == 1 ? 128 : 0);
  static constexpr int kStrips = kRows / 128;      // of 64 rows, per warpgroup
  static constexpr int kStripChunks = kCols / 32;  // of 16 accumulators
  static constexpr int kChunks = kStrips * kStripChunks;
  // Chunks of y that are read before the sums are complete.
  static constexpr int kAhead = kBlocks == 2 ? 1 : kCols == 128 && kRows == 128 ? 4 : 3;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct TilePlace {
  const TileProblem* problem;
  int row, col;    // first of the tile
  int begin, end;  // steps
};

template <typename S>
__device__ TilePlace PlaceOf(const TileLaunch& launch, int unit, int rank) {
  int p = 0;
  while (p + 1 < launch.count && unit >= launch.problems[p + 1].first_unit) ++p;
  const TileProblem& problem = launch.problems[p];
  const int local = unit - problem.first_unit;
  const int band = local / (launch.band * problem.columns);
  const int in_band = local - band * launch.band * problem.columns;
  const int height = min(launch.band, launch.row_units - band * launch.band);
  const int row_unit = band * launch.band + in_band % height;
  TilePlace place;
  place.problem = &problem;
  place.row = (S::kPair ? 2 * row_unit + rank : row_unit) * S::kRows;
  place.col = in_band / height * S::kCols;
  place.begin = S::kPair ? 0 : problem.steps * rank / launch.split;
  place.end = S::kPair ? problem.steps : problem.steps * (rank + 1) / launch.split;
  return place;
}

// Stages in shared memory, and the barriers before and behind each.
template <typename S>
struct TileRing {
  uint32_t stages, barriers;
  int index = 0;
  uint32_t parity = 0;

  __device__ explicit TileRing(const void* shared) {
    barriers = SharedAddress(shared);
    stages = (barriers + 1023 + 16 * S::kStages) / 1024 * 1024;
  }
  __device__ uint32_t x() const { return stages + index * S::kStageBytes; }
  __device__ uint32_t w() const { return x() + S::kXBytes; }
  __device__ uint32_t full() const { return barriers + 16 * index; }
  __device__ uint32_t empty() const { return full() + 8; }
  __device__ void Next() {
    if (++index == S::kStages) index = 0, parity ^= 1;
  }
  __device__ void Init() {
    for (index = 0; index < S::kStages; ++index) {
      BarrierInit(full(), 1);
      BarrierInit(empty(), kTileConsumers / kWarp * (S::kPair ? 2 : 1));
    }
    BarrierInitFence();
  }
};

template <typename S>
__device__ void CopyWeights(const TileLaunch& launch, const TilePlace& at, int step, int rank,
                            const TileRing<S>& ring) {
  constexpr int kParts = S::kPair ? 2 : 1;
  const int part = S::kPair ? rank : 0;  // each block of a pair loads half for both
  const auto copy = [&](int offset, int column, int row) {
    if constexpr (S::kPair) {
      CopyBoxToAll(ring.w() + offset, &at.problem->w, column, row, ring.full(), 3,
                   launch.weight_policy);
    } else {
      CopyBox(ring.w() + offset, &at.problem->w, column, row, ring.full(), launch.weight_policy);
    }
  };
  if constexpr (S::kAcross) {
    constexpr int kBoxes = S::kCols / 64 / kParts;
#pragma unroll
    for (int i = 0; i < kBoxes; ++i) {
      const int box = part * kBoxes + i;
      copy(box * 8192, at.col + box * 64, step * kTileStep);
    }
  } else {
    copy(part * (S::kWBytes / kParts), step * kTileStep, at.col + part * (S::kCols / kParts));
  }
}

template <typename S>
__device__ void CopyRows(const TilePlace& at, int step, const TileRing<S>& ring) {
  CopyBox(ring.x(), &at.problem->x, step * kTileStep, at.row, ring.full(), kEvictNormal);
}

// By one thread: fills the next stage as soon as it has been read.
template <typename S>
__device__ void FillStage(const TileLaunch& launch, const TilePlace& at, int step, int rank,
                          TileRing<S>& ring) {
  BarrierWait(ring.empty(), ring.parity ^ 1);
  BarrierExpect(ring.full(), S::kStageBytes);
  CopyWeights<S>(launch, at, step, rank, ring);
  CopyRows<S>(at, step, ring);
  ring.Next();
}

// The same for the first stages of a block, whose weights do not wait for the kernel ahead. Returns
// their number.
template <typename S>
__device__ int FillFirstStages(const TileLaunch& launch, const TilePlace& at, int rank,
                               TileRing<S>& ring) {
  const int count = min(S::kStages, at.end - at.begin);
  TileRing<S> weights = ring;
  for (int i = 0; i < count; ++i, weights.Next()) {
    BarrierExpect(weights.full(), S::kStageBytes);
    CopyWeights<S>(launch, at, at.begin + i, rank, weights);
  }
  DependencyWait();
  for (int i = 0; i < count; ++i, ring.Next()) CopyRows<S>(at, at.begin + i, ring);
  return count;
}

// sigmoid(x), tanh(x) or exp(-e^(-1/2) sigmoid(x)).
__device__ inline float Squashed(float x, Activation activation) {
  const bool tanh = activation == Activation::kTanh;
  const float s = 1.0f / (1.0f + __expf(tanh ? -2.0f * x : -x));
  if (tanh) return 2.0f * s - 1.0f;
  return activation == Activation::kDecay ? __expf(-0.60653065971263342f * s) : s;
}

__device__ inline uint32_t PackPair(float a, float b, __half) {
  const __half2 pair = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline uint32_t PackPair(float a, float b, __nv_bfloat16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// Lane t of four takes element t of each: word[i] becomes word[t] of lane i.
__device__ inline void TransposeQuad(uint32_t (&word)[4]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int bit = 1; bit <= 2; bit *= 2) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (i & bit) continue;
      const bool odd = t & bit;
      const uint32_t got = __shfl_xor_sync(~0u, odd ? word[i] : word[i + bit], bit);
      (odd ? word[i] : word[i + bit]) = got;
    }
  }
}

// Where the sums of a thread in one strip of 64 rows belong: rows `row` and `row` + 8 of y, of a
// chunk of 32 columns the columns 2 t, 2 t + 1, 8 + 2 t, ... for lane t of four.
struct StripPlace {
  const TileProblem* problem;
  void* y;  // at `row` and the tile's first column
  int col;  // the tile's first
  bool rows[2];

  __device__ bool Has(int column) const { return col + column < problem->outputs; }
  template <typename T>
  __device__ T* At(int half, int column) const {
    return static_cast<T*>(y) + (half ? 8 * problem->outputs : 0) + column;
  }
};

template <typename S>
__device__ StripPlace PlaceOfStrip(const TilePlace& at, int rows, int strip) {
  const int group = threadIdx.x / 128, warp = threadIdx.x % 128 / kWarp;
  const int row =
      at.row + group * (S::kRows / 2) + strip * 64 + warp * 16 + threadIdx.x % kWarp / 4;
  const int64_t element = static_cast<int64_t>(row) * at.problem->outputs + at.col;
  char* y = static_cast<char*>(at.problem->y) + element * (at.problem->f32 ? 4 : 2);
  return {at.problem, y, at.col, {row < rows, row + 8 < rows}};
}

template <typename T>
__device__ void StoreHalves(const StripPlace& at, int chunk, const float (&v)[16]) {
  const int t = threadIdx.x % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint32_t word[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      word[i] = PackPair(v[4 * i + 2 * half], v[4 * i + 2 * half + 1], T());
    }
    TransposeQuad(word);
    if (at.rows[half] && at.Has(chunk * 32 + 8 * t)) {
      *reinterpret_cast<uint4*>(at.At<T>(half, chunk * 32 + 8 * t)) =
          make_uint4(word[0], word[1], word[2], word[3]);
    }
  }
}

// What y holds before the sums are added.
__device__ inline void LoadBefore(const StripPlace& at, int chunk, float2 (&before)[8]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int column = chunk * 32 + i / 2 * 8;
    before[i] = make_float2(0, 0);
    if (at.rows[i % 2] && at.Has(column)) {
      before[i] =
          *reinterpret_cast<const float2*>(at.At<float>(i % 2, column + 2 * (threadIdx.x % 4)));
    }
  }
}

__device__ inline void StoreFloats(const StripPlace& at, int chunk, const float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int column = chunk * 32 + i / 2 * 8;
    if (at.rows[i % 2] && at.Has(column)) {
      *reinterpret_cast<float2*>(at.At<float>(i % 2, column + 2 * (threadIdx.x % 4))) =
          make_float2(v[2 * i], v[2 * i + 1]);
    }
  }
}

template <typename T>
__device__ void FinishChunk(const StripPlace& at, int chunk, float (&v)[16]) {
  const TileProblem& p = *at.problem;
  if (p.bias != nullptr) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int column = chunk * 32 + 8 * i;
      if (!at.Has(column)) continue;
      const float2 bias =
          *reinterpret_cast<const float2*>(p.bias + at.col + column + 2 * (threadIdx.x % 4));
      v[4 * i] += bias.x, v[4 * i + 1] += bias.y, v[4 * i + 2] += bias.x, v[4 * i + 3] += bias.y;
    }
  }
  if (p.activation == Activation::kReluSquared) {
#pragma unroll
    for (int i = 0; i < 16; ++i) v[i] = v[i] > 0 ? v[i] * v[i] : 0.0f;
  } else if (p.activation != Activation::kNone) {
#pragma unroll
    for (int i = 0; i < 16; ++i) v[i] = Squashed(v[i], p.activation);
  }
  if (p.f32) {
    StoreFloats(at, chunk, v);
  } else {
    StoreHalves<T>(at, chunk, v);
  }
}

__device__ inline void AddBefore(const float2 (&before)[8], float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 8; ++i) v[2 * i] += before[i].x, v[2 * i + 1] += before[i].y;
}

// By one lane of each warp: the stage before the barrier `empty` may be filled again.
template <typename S>
__device__ void ReleaseStage(uint32_t empty) {
  if (threadIdx.x % kWarp != 0) return;
  if constexpr (S::kPair) {
    BarrierArriveAt(empty, 0);
    BarrierArriveAt(empty, 1);
  } else {
    BarrierArrive(empty);
  }
}

// The sums of a cluster's blocks, added up in the order of their inputs. Each block finishes every
// split-th chunk.
template <typename S>
__device__ void ReduceAndFinish(const TileLaunch& launch, const TilePlace& at, int rank,
                                const TileRing<S>& ring, float (&sum)[S::kStrips][S::kCols / 2]) {
  const TileProblem& p = *at.problem;
  const int thread = threadIdx.x;
  const auto address = [&](int chunk, int quarter) {
    return ring.stages + ((chunk * 4 + quarter) * kTileConsumers + thread) * 16;
  };
  NamedBarrier(1, kTileConsumers);  // both warpgroups are done with the stages
#pragma unroll
  for (int i = 0; i < S::kChunks * 4; ++i) {
    const float* v = sum[i / (S::kCols / 8)] + i % (S::kCols / 8) * 4;
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address(i / 4, i % 4)), "f"(v[0]),
                 "f"(v[1]), "f"(v[2]), "f"(v[3])
                 : "memory");
  }
  // The chunk of this block, and of each `split` further.
  const auto strip = [&](int chunk) {
    return PlaceOfStrip<S>(at, launch.rows, chunk / S::kStripChunks);
  };
  float2 before[8];
  if (p.accumulate && rank < S::kChunks) {
    LoadBefore(strip(rank), rank % S::kStripChunks, before);
  }
  ClusterSync();
  for (int chunk = rank; chunk < S::kChunks; chunk += launch.split) {
    float v[16] = {};
    for (int block = 0; block < launch.split; ++block) {
#pragma unroll
      for (int quarter = 0; quarter < 4; ++quarter) {
        const float4 part = LoadFrom(address(chunk, quarter), block);
        v[4 * quarter] += part.x, v[4 * quarter + 1] += part.y;
        v[4 * quarter + 2] += part.z, v[4 * quarter + 3] += part.w;
      }
    }
    if (p.accumulate) {
      AddBefore(before, v);
      const int next = chunk + launch.split;
      if (next < S::kChunks) LoadBefore(strip(next), next % S::kStripChunks, before);
    }
    FinishChunk<typename S::T>(strip(chunk), chunk % S::kStripChunks, v);
  }
  FenceForCopies();
  ClusterSync();
}

// By a warpgroup: the sums of one tile, from the stages as they come. Calls released(step) when it
// has read that step's stage, except for the last.
template <typename S, typename Released>
__device__ void Multiply(const TilePlace& at, TileRing<S>& ring,
                         float (&sum)[S::kStrips][S::kCols / 2], Released released) {
  const int group = threadIdx.x / 128;
  uint32_t read = 0;  // the barrier behind the stage before
  for (int step = at.begin; step < at.end; ++step, ring.Next()) {
    BarrierWait(ring.full(), ring.parity);
    WgmmaBegin();
    const uint64_t a = OperandAlong(ring.x() + group * (S::kXBytes / 2));
    const uint64_t b = S::kAcross ? OperandAcross(ring.w()) : OperandAlong(ring.w());
#pragma unroll
    for (int k = 0; k < kTileStep / 16; ++k) {
#pragma unroll
      for (int strip = 0; strip < S::kStrips; ++strip) {
        Wgmma<S::kCols, typename S::T, S::kAcross>::Run(sum[strip], a + 2 * k + strip * (8192 >> 4),
                                                        b + k * (S::kAcross ? 2048 >> 4 : 2),
                                                        step > at.begin || k > 0);
      }
    }
    WgmmaCommit();
    WgmmaWait<1>();
    if (step > at.begin) {
      ReleaseStage<S>(read);
      released(step - 1);
    }
    read = ring.empty();
  }
  WgmmaWait<0>();
  ReleaseStage<S>(read);
}

// By a warpgroup: one tile.
template <typename S, typename Released>
__device__ void Consume(const TileLaunch& launch, const TilePlace& at, int rank, TileRing<S>& ring,
                        Released released) {
  const TileProblem& p = *at.problem;
  const bool split = !S::kPair && launch.split > 1;
  float sum[S::kStrips][S::kCols / 2];
  Multiply<S>(at, ring, sum, released);
  StripPlace strips[S::kStrips];
#pragma unroll
  for (int i = 0; i < S::kStrips; ++i) strips[i] = PlaceOfStrip<S>(at, launch.rows, i);
  float2 before[S::kAhead][8];
  if (p.accumulate && !split) {
#pragma unroll
    for (int i = 0; i < S::kAhead; ++i) {
      LoadBefore(strips[i / S::kStripChunks], i % S::kStripChunks, before[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < S::kChunks * 16; ++i) {  // nothing reads the sums before the wait
    asm volatile("" : "+f"(sum[i / (S::kCols / 2)][i % (S::kCols / 2)])::"memory");
  }
  if (split) {
    ReduceAndFinish<S>(launch, at, rank, ring, sum);
    return;
  }
#pragma unroll
  for (int chunk = 0; chunk < S::kChunks; ++chunk) {
    constexpr int kStripChunks = S::kStripChunks;
    float v[16];
#pragma unroll
    for (int i = 0; i < 16; ++i) v[i] = sum[chunk / kStripChunks][chunk % kStripChunks * 16 + i];
    if (p.accumulate) {
      AddBefore(before[chunk % S::kAhead], v);
      const int next = chunk + S::kAhead;
      if (next < S::kChunks) {
        LoadBefore(strips[next / kStripChunks], next % kStripChunks, before[chunk % S::kAhead]);
      }
    }
    FinishChunk<typename S::T>(strips[chunk / kStripChunks], chunk % kStripChunks, v);
  }
}
// By the warpgroup behind the ones that multiply.
template <typename S>
__device__ void Produce(const TileLaunch& launch, int cluster, int clusters, int rank,
                        TileRing<S>& ring) {
  for (int unit = cluster; unit < launch.units; unit += clusters) {
    if (threadIdx.x == kTileConsumers) {
      const TilePlace at = PlaceOf<S>(launch, unit, rank);
      int step = at.begin;
      if (unit == cluster) step += FillFirstStages<S>(launch, at, rank, ring);
      for (; step < at.end; ++step) FillStage<S>(launch, at, step, rank, ring);
    }
    if (!S::kPair && launch.split > 1) {  // the ring holds sums while they are added up
      ClusterSync();
      ClusterSync();
    }
  }
}

// The whole block, where two share a multiprocessor and there are no registers for more threads:
// the first thread fills the ring in between.
template <typename S>
__device__ void FillAndMultiply(const TileLaunch& launch, int cluster, int clusters, int rank,
                                TileRing<S>& ring) {
  TileRing<S> filled = ring;
  for (int unit = cluster; unit < launch.units; unit += clusters) {
    const TilePlace at = PlaceOf<S>(launch, unit, rank);
    if (threadIdx.x == 0) {
      int step = at.begin;
      if (unit == cluster) step += FillFirstStages<S>(launch, at, rank, filled);
      for (; step < min(at.begin + S::kStages, at.end); ++step) {
        FillStage<S>(launch, at, step, rank, filled);
      }
    }
    DependencyWait();  // for y
    Consume<S>(launch, at, rank, ring, [&](int step) {
      if (threadIdx.x == 0 && step + S::kStages < at.end) {
        FillStage<S>(launch, at, step + S::kStages, rank, filled);
      }
      __syncwarp();  // the next product is the whole warp's
    });
  }
}
#endif

template <typename S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    TileKernel(const __grid_constant__ TileLaunch launch) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ uint8_t shared[];
  TileRing<S> ring(shared);
  const int size = S::kPair ? 2 : launch.split;
  const int cluster = blockIdx.x / size, clusters = gridDim.x / size;
  const int rank = size > 1 ? ClusterRank() : 0;
  if (threadIdx.x == 0) TileRing<S>(ring).Init();
  __syncthreads();
  if (S::kPair) ClusterSync();  // the other block's barriers are there
  ReleaseDependents();
  if constexpr (S::kBlocks > 1) {
    FillAndMultiply<S>(launch, cluster, clusters, rank, ring);
  } else if (threadIdx.x >= kTileConsumers) {
    KeepRegisters<40>();
    Produce<S>(launch, cluster, clusters, rank, ring);
  } else {
    TakeRegisters<232>();
    DependencyWait();  // for y
    for (int unit = cluster; unit < launch.units; unit += clusters) {
      Consume<S>(launch, PlaceOf<S>(launch, unit, rank), rank, ring, [](int) {});
    }
  }
  if (S::kPair) ClusterSync();  // no block ends while the other may still signal to it
#endif
}

}  // namespace skein::cuda
