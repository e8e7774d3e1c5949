// The kernel of tile_products.h: one or two blocks per multiprocessor. Two warpgroups of a block
// multiply, and finish a tile from their registers; one thread fills a ring of shared-memory stages
// with bulk copies. Blocks take tiles in turn.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/linear/hopper.cuh"
#include "kernels/linear/tile_finish.cuh"
#include "kernels/linear/tile_stages.cuh"
#include "kernels/linear/wgmma.cuh"

namespace skein::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

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

// Sixteen of a thread's sums; `chunk` is a constant after inlining.
template <typename S>
__device__ void CopyChunk(const float (&sum)[S::kStrips][S::kCols / 2], int chunk, float (&v)[16]) {
  if (chunk >= S::kChunks) return;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    v[i] = sum[chunk / S::kStripChunks][chunk % S::kStripChunks * 16 + i];
  }
}

// The same for a chunk known at run time: so the code that finishes one is there once, and stays in
// the instruction cache.
template <typename S>
__device__ void PickChunk(const float (&sum)[S::kStrips][S::kCols / 2], int chunk, float (&v)[16]) {
  switch (chunk) {
    case 0:
      return CopyChunk<S>(sum, 0, v);
    case 1:
      return CopyChunk<S>(sum, 1, v);
    case 2:
      return CopyChunk<S>(sum, 2, v);
    case 3:
      return CopyChunk<S>(sum, 3, v);
    case 4:
      return CopyChunk<S>(sum, 4, v);
    case 5:
      return CopyChunk<S>(sum, 5, v);
    case 6:
      return CopyChunk<S>(sum, 6, v);
    default:
      return CopyChunk<S>(sum, 7, v);
  }
}

// A thread's sums in shared memory, by quarters of a chunk.
template <typename S>
__device__ uint32_t SumAddress(const TileRing<S>& ring, int chunk, int quarter) {
  return ring.stages + ((chunk * 4 + quarter) * kTileConsumers + threadIdx.x) * 16;
}

template <typename S>
__device__ void ShareSums(const TileRing<S>& ring, const float (&sum)[S::kStrips][S::kCols / 2]) {
  NamedBarrier(1, kTileConsumers);  // both warpgroups are done with the stages
#pragma unroll
  for (int i = 0; i < S::kChunks * 4; ++i) {
    const float* v = sum[i / (S::kCols / 8)] + i % (S::kCols / 8) * 4;
    asm volatile("st.shared.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(SumAddress(ring, i / 4, i % 4)),
                 "f"(v[0]), "f"(v[1]), "f"(v[2]), "f"(v[3])
                 : "memory");
  }
}

// The sums of a cluster's blocks, added up in the order of their inputs.
template <typename S>
__device__ void AddShares(const TileRing<S>& ring, int chunk, int blocks, float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 16; ++i) v[i] = 0;
#pragma unroll 2
  for (int block = 0; block < blocks; ++block) {
#pragma unroll
    for (int quarter = 0; quarter < 4; ++quarter) {
      const float4 part = LoadFrom(SumAddress(ring, chunk, quarter), block);
      v[4 * quarter] += part.x, v[4 * quarter + 1] += part.y;
      v[4 * quarter + 2] += part.z, v[4 * quarter + 3] += part.w;
    }
  }
}

// All chunks of a tile, or a block's share of them where a cluster adds up its sums. `bias`: of the
// first.
template <typename S>
__device__ void FinishTile(const TileLaunch& launch, const TilePlace& at, const TileOutput& output,
                           int rank, const TileRing<S>& ring, float2 (&bias)[4],
                           const float (&sum)[S::kStrips][S::kCols / 2]) {
  const int first = at.shared ? rank : 0, stride = at.shared ? launch.split : 1;
  const int row = at.row + threadIdx.x / 128 * (S::kRows / 2) + threadIdx.x % 128 / kWarp * 16;
  const auto col = [&](int chunk) { return at.col + chunk % S::kStripChunks * 32; };
  if (at.shared) {
    ShareSums(ring, sum);
    ClusterSync();
  }
  BoxWriter<S> writer(output, ring.out());
#pragma unroll 1
  for (int chunk = first; chunk < S::kChunks; chunk += stride) {
    float v[16];
    if (at.shared) {
      AddShares(ring, chunk, launch.split, v);
    } else {
      PickChunk<S>(sum, chunk, v);
    }
    Activate(output, bias, v);
    if (chunk + stride < S::kChunks) LoadBias(output, col(chunk + stride), bias);
    writer.Write(v, row + chunk / S::kStripChunks * 64, col(chunk));
  }
  if (at.shared) {
    FenceForCopies();
    ClusterSync();
  }
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
  const TileOutput output(*at.problem);
  float2 bias[4];
  LoadBias(output, at.col + (at.shared ? rank % S::kStripChunks * 32 : 0), bias);
  float sum[S::kStrips][S::kCols / 2];
  Multiply<S>(at, ring, sum, released);
#pragma unroll
  for (int i = 0; i < S::kChunks * 16; ++i) {  // nothing reads the sums before the wait
    asm volatile("" : "+f"(sum[i / (S::kCols / 2)][i % (S::kCols / 2)])::"memory");
  }
  FinishTile<S>(launch, at, output, rank, ring, bias, sum);
}

// By the warpgroup behind the ones that multiply.
template <typename S>
__device__ void Produce(const TileLaunch& launch, int rank, TileRing<S>& ring) {
  int unit = UnitOf<S>(launch, 0);
  for (int turn = 0; unit < launch.units; unit = UnitOf<S>(launch, ++turn)) {
    const TilePlace at = PlaceOf<S>(launch, unit, rank);
    if (threadIdx.x == kTileConsumers) {
      int step = at.begin;
      if (turn == 0) step += FillFirstRows<S>(at, ring);
      for (; step < at.end; ++step) FillStage<S>(launch, at, step, rank, ring);
    }
    if (at.shared) {  // the ring holds sums while they are added up
      ClusterSync();
      ClusterSync();
    }
  }
}

// Barriers, and the copies that wait for nothing.
template <typename S>
__device__ void Begin(const TileLaunch& launch, int rank, const TileRing<S>& ring) {
  constexpr int kFiller = S::kBlocks > 1 ? 0 : kTileConsumers;
  const auto fill = [&] {
    const int unit = UnitOf<S>(launch, 0);
    if (unit >= launch.units) return;
    FillFirstWeights<S>(launch, PlaceOf<S>(launch, unit, rank), rank, ring);
  };
  if (threadIdx.x == kFiller) {
    TileRing<S>(ring).Init();
    if (!S::kPair) fill();
  }
  __syncthreads();
  if constexpr (S::kPair) {
    ClusterSync();  // the other block's barriers are there
    if (threadIdx.x == kFiller) fill();
  }
}

// The whole block, where two share a multiprocessor and there are no registers for more threads:
// the first thread fills the ring in between.
template <typename S>
__device__ void FillAndMultiply(const TileLaunch& launch, int rank, TileRing<S>& ring) {
  TileRing<S> filled = ring;
  int unit = UnitOf<S>(launch, 0);
  for (int turn = 0; unit < launch.units; unit = UnitOf<S>(launch, ++turn)) {
    const TilePlace at = PlaceOf<S>(launch, unit, rank);
    if (threadIdx.x == 0) {
      int step = at.begin;
      if (turn == 0) step += FillFirstRows<S>(at, filled);
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

// By the warpgroups that multiply, where another fills the ring.
template <typename S>
__device__ void MultiplyAll(const TileLaunch& launch, int rank, TileRing<S>& ring) {
  DependencyWait();  // for y
  int unit = UnitOf<S>(launch, 0);
  for (int turn = 0; unit < launch.units; unit = UnitOf<S>(launch, ++turn)) {
    Consume<S>(launch, PlaceOf<S>(launch, unit, rank), rank, ring, [](int) {});
  }
}
#endif

template <typename S>
__global__ void __launch_bounds__(S::kThreads, S::kBlocks)
    TileKernel(const __grid_constant__ TileLaunch launch) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ __align__(1024) uint8_t shared[];
  TileRing<S> ring(shared);
  const int rank = S::kPair || launch.split > 1 ? ClusterRank() : 0;
  ReleaseDependents();
  Begin<S>(launch, rank, ring);
  if constexpr (S::kBlocks > 1) {
    FillAndMultiply<S>(launch, rank, ring);
  } else if (threadIdx.x >= kTileConsumers) {
    KeepRegisters<40>();
    Produce<S>(launch, rank, ring);
  } else {
    TakeRegisters<232>();
    MultiplyAll<S>(launch, rank, ring);
  }
  if (threadIdx.x < kTileConsumers) CopiesRead<0>();
  if (S::kPair) ClusterSync();  // no block ends while the other may still signal to it
#endif
}

}  // namespace skein::cuda
