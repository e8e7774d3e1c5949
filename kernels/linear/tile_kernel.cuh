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
