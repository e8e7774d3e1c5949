// What a launch of tile_products.h consists of: problems, the shapes of tiles, and the ring of
// stages in shared memory that bulk copies fill.
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
  CUtensorMap y;  // boxes of 16 rows and box_chunks * 32 outputs
  const float* bias;
  int outputs;
  int steps;       // of 64 inputs
  int columns;     // tiles side by side
  int first_unit;  // of all problems' units in a row
  int split;       // blocks that share the inputs of a tile: 1, or the cluster's
  int box_chunks;  // 2, or 1: where y is fp32, or the chunks of a tile finish in several blocks
  bool f32;        // y, else the type of the operands
  bool accumulate;
  Activation activation;
};

// A unit is what a block, a pair or a cluster that splits the inputs does at a time: a tile, or two
// with neighbouring rows. Problems whose units blocks or pairs take come first.
struct TileLaunch {
  TileProblem problems[ProductGroup::kMax];
  int count;
  int rows;
  int row_units;
  int band;   // row units that run side by side before the next columns
  int units;  // of all problems
  int alone;  // of them, those of blocks or pairs
  int split;  // the cluster's size unless in pairs
  // The first cluster that is idle in the last round of the units before, and so begins with
  // `split` of the cluster's, which take as long as one of a block.
  int first_idle;
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
  // Results on their way out: boxes of 16 rows and 128 bytes, of each warp.
  static constexpr int kBoxBytes = 2048, kBoxes = kBlocks > 1 || kCols == 192 ? 1 : 2;
  static constexpr int kOutBytes = kTileConsumers / kWarp * kBoxes * kBoxBytes;
  static constexpr int kBarrierBytes = 256;
  static constexpr int kStages =
      (kMaxSharedBytes / kBlocks - 1024 - kOutBytes - kBarrierBytes) / kStageBytes;
  static constexpr int kSharedBytes = kStages * kStageBytes + kOutBytes + kBarrierBytes;
  static constexpr int kThreads = kTileConsumers + (kBlocks == 1 ? 128 : 0);
  static constexpr int kStrips = kRows / 128;      // of 64 rows, per warpgroup
  static constexpr int kStripChunks = kCols / 32;  // of 16 accumulators
  static constexpr int kChunks = kStrips * kStripChunks;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

struct TilePlace {
  const TileProblem* problem;
  int row, col;    // first of the tile
  int begin, end;  // steps
  bool shared;     // by the blocks of the cluster, each with its steps
};

// The units of this block, in turn: `turn` counts them from 0. As many as launch.units, or more,
// after the last. All blocks of a cluster meet the units that they share in the same order. (Only
// one block of a multiprocessor may have units of both kinds.)
template <typename S>
__device__ int UnitOf(const TileLaunch& launch, int turn) {
  const int size = S::kPair ? 2 : launch.split;
  const int cluster = blockIdx.x / size, clusters = gridDim.x / size;
  if (S::kPair || S::kBlocks > 1) return cluster + turn * clusters;
  const int block = blockIdx.x, blocks = gridDim.x;
  const int mine = block < launch.alone ? (launch.alone - block - 1) / blocks + 1 : 0;
  if (turn < mine) return block + turn * blocks;
  const int idle = clusters - launch.first_idle;
  int later = turn - mine;
  if (cluster >= launch.first_idle) {
    if (later < size) return launch.alone + cluster - launch.first_idle + later * idle;
    later -= size;
  }
  return launch.alone + idle * size + cluster + later * clusters;
}

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
  place.shared = !S::kPair && (S::kBlocks > 1 ? launch.split : problem.split) > 1;
  place.begin = place.shared ? problem.steps * rank / launch.split : 0;
  place.end = place.shared ? problem.steps * (rank + 1) / launch.split : problem.steps;
  return place;
}

// Stages in shared memory, and the barriers before and behind each.
template <typename S>
struct TileRing {
  uint32_t stages, barriers;
  int index = 0;
  uint32_t parity = 0;

  __device__ explicit TileRing(const void* shared) {
    stages = SharedAddress(shared);
    barriers = stages + S::kStages * S::kStageBytes + S::kOutBytes;
  }
  // Of this warp's boxes.
  __device__ uint32_t out() const {
    return stages + S::kStages * S::kStageBytes + threadIdx.x / kWarp * (S::kBoxes * S::kBoxBytes);
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

// The first stages of a block: weights do not wait for the kernel ahead, rows do. Returns the
// number of stages.
template <typename S>
__device__ void FillFirstWeights(const TileLaunch& launch, const TilePlace& at, int rank,
                                 TileRing<S> ring) {
  const int count = min(S::kStages, at.end - at.begin);
  for (int i = 0; i < count; ++i, ring.Next()) {
    BarrierExpect(ring.full(), S::kStageBytes);
    CopyWeights<S>(launch, at, at.begin + i, rank, ring);
  }
}
template <typename S>
__device__ int FillFirstRows(const TilePlace& at, TileRing<S>& ring) {
  const int count = min(S::kStages, at.end - at.begin);
  DependencyWait();
  for (int i = 0; i < count; ++i, ring.Next()) CopyRows<S>(at, at.begin + i, ring);
  return count;
}

#endif

}  // namespace skein::cuda
