// Products on the tensor cores of compute capability 9.0 for few rows, where reading the weights is
// what takes the time. The weights are the tall operand (64 outputs of a warpgroup product), the
// rows its short one, padded to kN.
//
// A block streams its share of all problems' steps (step_plan.h) through a ring in shared memory:
// one thread asks for the tiles, two warpgroups multiply, 64 outputs each. The ring is filled with
// weights before the kernel ahead has ended, which hides start and ramp of a launch.
//
// Where a tile is shared, each of its blocks leaves its sums in the workspace, goes on with its
// other tiles, and in the end adds up its share of the tile's rows, in the order of the blocks.
// That needs all blocks to be resident at once: there are no more of them than multiprocessors.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/linear/hopper.cuh"
#include "kernels/linear/step_plan.h"
#include "kernels/linear/streamed_outputs.cuh"
#include "kernels/linear/streamed_shift.cuh"
#include "kernels/linear/tall_wgmma.cuh"

namespace skein::streamed {

constexpr int kMaxProblems = 8;
constexpr int kTileOutputs = 128;
constexpr int kStepInputs = 64;  // 128 bytes, a line of a box
constexpr int kGroupThreads = 128;
constexpr int kGroupOutputs = 64;
constexpr int kGroups = kTileOutputs / kGroupOutputs;
constexpr int kConsumers = kGroups * kGroupThreads;
constexpr int kThreads = kConsumers + cuda::kWarp;
constexpr int kWeightBytes = kTileOutputs * kStepInputs * 2;
constexpr int kBoxBytes = kGroupOutputs * kStepInputs * 2;  // weights of one warpgroup
constexpr int kOctetBytes = kGroupThreads * 16;             // sums of a warpgroup

struct Problem {
  CUtensorMap weight;
  CUtensorMap x;
  const float* bias;
  cuda::MutableElements y;
  bool accumulate;  // to y, fp32
  Activation activation;
  int outputs;
  int steps;  // of a tile
  int first_step;
};

struct Params {
  Problem problems[kMaxProblems];
  int32_t begin[kMaxStepBlocks + 1];
  int count;
  int rows;
  int stages;  // of the ring
  float4* partials;
  uint32_t* counters;   // of tiles, then one of shifted rows
  ShiftedRows shifted;  // the x of all problems are made of them here, if there are any

  __device__ uint32_t* ShiftCounter() const { return counters + gridDim.x * kGroups; }
};
static_assert(sizeof(Params) <= 4096, "parameters of a launch");

template <typename Half_, int kN_, bool kAcross_>
struct Shape {
  using Half = Half_;
  static constexpr int kN = kN_;
  static constexpr bool kAcross = kAcross_;  // lines of the weights run over the outputs
  static constexpr int kSums = kN / 2;       // of a thread
  static constexpr int kOctets = kN / kOctet;
  static constexpr int kFinished = kOctets % 2 == 0 ? 2 : 1;  // octets at a time
  static constexpr int kStageBytes = kWeightBytes + kN * kStepInputs * 2;
  static constexpr int SharedBytes(int stages) { return 1024 + stages * (kStageBytes + 2 * 8); }
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// A place in the row of all steps. The parameters are read only where the problem changes: an
// access takes about as long as a product.
struct Cursor {
  int problem, tile, k, steps;

  __device__ Cursor(const Params& params, int step) {
    problem = 0;
    while (problem + 1 < params.count && step >= params.problems[problem + 1].first_step) ++problem;
    steps = params.problems[problem].steps;
    const int at = step - params.problems[problem].first_step;
    tile = at / steps;
    k = at % steps;
  }
  __device__ void NextTile(const Params& params) {
    k = 0;
    if (++tile * kTileOutputs < params.problems[problem].outputs) return;
    tile = 0;
    if (++problem < params.count) steps = params.problems[problem].steps;
  }
};

template <typename S>
struct Ring {
  uint32_t stages, barriers;
  int count;

  __device__ Ring(const void* shared, int stages_) : count(stages_) {
    stages = (cuda::SharedAddress(shared) + 1023) / 1024 * 1024;
    barriers = stages + count * S::kStageBytes;
  }
  __device__ uint32_t Weights(int stage) const { return stages + stage * S::kStageBytes; }
  __device__ uint32_t X(int stage) const { return Weights(stage) + kWeightBytes; }
  __device__ uint32_t Full(int stage) const { return barriers + stage * 8; }
  __device__ uint32_t Empty(int stage) const { return barriers + (count + stage) * 8; }
};

// Whose turn it is in the ring, and how often the ring has gone round.
struct Turn {
  int stage = 0;
  uint32_t round = 0;

  __device__ void Next(int stages) {
    if (++stage < stages) return;
    stage = 0;
    ++round;
  }
};

// The thread that fills the ring.
template <typename S>
__device__ __forceinline__ void Produce(const Params& params, const Ring<S>& ring, int begin,
                                        int end) {
  const auto load_weights = [&](const Cursor& at, int stage) {
    const CUtensorMap* map = &params.problems[at.problem].weight;
    const uint32_t to = ring.Weights(stage), full = ring.Full(stage);
    const int input = at.k * kStepInputs, output = at.tile * kTileOutputs;
    cuda::BarrierExpect(full, S::kStageBytes);
    if constexpr (S::kAcross) {
      cuda::CopyBox(to, map, output, input, full, cuda::kEvictFirst);
      cuda::CopyBox(to + kBoxBytes, map, output + kGroupOutputs, input, full, cuda::kEvictFirst);
    } else {
      cuda::CopyBox(to, map, input, output, full, cuda::kEvictFirst);
    }
  };
  const auto load_x = [&](const Cursor& at, int stage) {
    cuda::CopyBox(ring.X(stage), &params.problems[at.problem].x, at.k * kStepInputs, 0,
                  ring.Full(stage), cuda::kEvictLast);
  };
  const auto advance = [&](Cursor& at) {
    if (++at.k == at.steps) at.NextTile(params);
  };

  const int count = end - begin, ahead = min(count, ring.count);
  Cursor weights(params, begin), x = weights;
  for (int i = 0; i < ahead; ++i, advance(weights)) load_weights(weights, i);
  cuda::ReleaseDependents();
  if (params.shifted.count > 0) {
    AwaitShifted(params.ShiftCounter());
  } else {
    cuda::DependencyWait();
  }
  for (int i = 0; i < ahead; ++i, advance(x)) load_x(x, i);
  Turn turn;
  for (int i = ahead; i < count; ++i, advance(weights), turn.Next(ring.count)) {
    cuda::BarrierWait(ring.Empty(turn.stage), turn.round & 1);
    load_weights(weights, turn.stage);
    load_x(weights, turn.stage);
  }
}

// `count` steps of one tile.
template <typename S>
__device__ __forceinline__ void Multiply(const Ring<S>& ring, Turn& turn, int count,
                                         float (&sums)[S::kSums]) {
  using Product = cuda::TallWgmma<S::kN, typename S::Half, S::kAcross>;
  const int group = threadIdx.x / kGroupThreads;
  for (int i = 0; i < count; ++i, turn.Next(ring.count)) {
    cuda::BarrierWait(ring.Full(turn.stage), turn.round & 1);
    const uint32_t weights = ring.Weights(turn.stage) + group * kBoxBytes;
    const uint32_t x = ring.X(turn.stage);
    cuda::WgmmaBegin();
#pragma unroll
    for (int k = 0; k < kStepInputs / 16; ++k) {
      const uint64_t a = S::kAcross ? cuda::OperandAcross(weights + k * 16 * 128)
                                    : cuda::OperandAlong(weights + k * 32);
      Product::Run(sums, a, cuda::OperandAlong(x + k * 32), i + k > 0);
    }
    cuda::WgmmaCommit();
    cuda::WgmmaWait<0>();
    if (threadIdx.x % cuda::kWarp == 0) cuda::BarrierArrive(ring.Empty(turn.stage));
  }
  cuda::PinSums(sums);
}

__device__ __forceinline__ Target MakeTarget(const Params& params, const Cursor& at) {
  const Problem& p = params.problems[at.problem];
  const int warp = threadIdx.x / cuda::kWarp, lane = threadIdx.x % cuda::kWarp;
  Target target;
  target.y = p.y;
  target.accumulate = p.accumulate;
  target.activation = p.activation;
  target.outputs = p.outputs;
  target.output = at.tile * kTileOutputs + 16 * warp + lane / 4;
  target.row = 2 * (lane % 4);
  target.rows = params.rows;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    const int output = target.output + 8 * h;
    target.bias[h] = p.bias != nullptr && output < p.outputs ? p.bias[output] : 0.0f;
  }
  return target;
}

// A tile of which the block has all steps.
template <typename S>
__device__ __forceinline__ void FinishTile(const Target& target, const float (&sums)[S::kSums]) {
  constexpr int kValues = 4 * S::kFinished;
#pragma unroll 1
  for (int i = 0; i < S::kOctets / S::kFinished; ++i) {
    if (i * S::kFinished * kOctet >= target.rows) return;
    float v[kValues];
    // Registers have no run-time index.
#pragma unroll
    for (int c = 0; c < S::kOctets / S::kFinished; ++c) {
      if (c != i) continue;
#pragma unroll
      for (int e = 0; e < kValues; ++e) v[e] = sums[c * kValues + e];
    }
    FinishOctets<S::kFinished>(target, i * S::kFinished, v);
  }
}

// A tile whose steps blocks [first, last] have.
struct SharedTile {
  int first, last;

  __device__ int blocks() const { return last - first + 1; }
  // Where `block` leaves octet 0. It has at most one piece that begins a tile without ending it,
  // and one that does not begin a tile.
  template <typename S>
  __device__ float4* Sums(const Params& params, int block) const {
    const int group = threadIdx.x / kGroupThreads, thread = threadIdx.x % kGroupThreads;
    const int slot = (block * 2 + (block == first)) * kGroups + group;
    return params.partials + static_cast<int64_t>(slot) * S::kOctets * kGroupThreads + thread;
  }
  __device__ uint32_t* Counter(const Params& params) const {
    return params.counters + first * kGroups + threadIdx.x / kGroupThreads;
  }
};

template <typename S>
__device__ __forceinline__ void LeaveSums(const Params& params, const SharedTile& tile,
                                          const float (&sums)[S::kSums]) {
  float4* to = tile.Sums<S>(params, blockIdx.x);
#pragma unroll
  for (int i = 0; i < S::kOctets; ++i) {
    __stcg(to + i * kGroupThreads,
           make_float4(sums[4 * i], sums[4 * i + 1], sums[4 * i + 2], sums[4 * i + 3]));
  }
  cuda::NamedBarrier(1 + threadIdx.x / kGroupThreads, kGroupThreads);
  if (threadIdx.x % kGroupThreads == 0) {
    __threadfence();
    atomicAdd(tile.Counter(params), 1);
  }
}

// Waits until all blocks of the tile have left their sums.
__device__ __forceinline__ void AwaitSums(const Params& params, const SharedTile& tile) {
  if (threadIdx.x % kGroupThreads == 0) {
    const uint32_t blocks = tile.blocks();
    while (cuda::LoadAcquire(tile.Counter(params)) < blocks) {
    }
  }
  cuda::NamedBarrier(1 + threadIdx.x / kGroupThreads, kGroupThreads);
}

// Adds up and finishes the block's share of a tile: every so many octets of rows. The last block to
// have done so resets the counter.
template <typename S>
__device__ __forceinline__ void GatherSums(const Params& params, const Ring<S>& ring,
                                           const SharedTile& tile, const Target& target) {
  const int octets = (target.rows + kOctet - 1) / kOctet, blocks = tile.blocks();
  int octet = blockIdx.x - tile.first, added = 0;  // what is added up, and of how many blocks
  if (octet >= octets) return;
  // The ring is free by now. The loads of many octets and blocks are under way at the same time.
  const int capacity = ring.count * S::kStageBytes / kGroups / kOctetBytes;
  const uint32_t buffer = ring.stages + threadIdx.x % kGroupThreads * 16 +
                          threadIdx.x / kGroupThreads * capacity * kOctetBytes;
  int loaded_octet = octet, loaded = 0;
  AwaitSums(params, tile);
  float v[4] = {};
  for (int left = (octets - octet + blocks - 1) / blocks * blocks; left > 0;) {
    const int batch = min(left, capacity);
    left -= batch;
    for (int i = 0; i < batch; ++i) {
      cuda::CopyVector(buffer + i * kOctetBytes,
                       tile.Sums<S>(params, tile.first + loaded) + loaded_octet * kGroupThreads);
      if (++loaded == blocks) loaded = 0, loaded_octet += blocks;
    }
    cuda::AwaitVectors();
#pragma unroll 1
    for (int i = 0; i < batch; ++i) {
      const float4 part = cuda::LoadShared(buffer + i * kOctetBytes);
      v[0] += part.x, v[1] += part.y, v[2] += part.z, v[3] += part.w;
      if (++added < blocks) continue;
      FinishOctets<1>(target, octet, v);
      v[0] = v[1] = v[2] = v[3] = 0;
      added = 0, octet += blocks;
    }
  }
  if (threadIdx.x % kGroupThreads == 0) {
    uint32_t* counter = tile.Counter(params);
    const uint32_t last = blocks + min(blocks, octets) - 1;
    if (atomicAdd(counter, 1) == last) *counter = 0;
  }
}

// The blocks between which the tile [tile_begin, tile_end) of steps is divided.
__device__ __forceinline__ SharedTile FindBlocks(const Params& params, int tile_begin,
                                                 int tile_end) {
  SharedTile tile = {static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.x)};
  while (params.begin[tile.first] > tile_begin) --tile.first;
  while (params.begin[tile.last + 1] < tile_end) ++tile.last;
  return tile;
}

template <typename S>
__device__ __forceinline__ void Consume(const Params& params, const Ring<S>& ring, int begin,
                                        int end) {
  // The tile in which the block begins and the one in which it ends.
  Cursor at(params, begin);
  const Cursor front = at, back(params, end - 1);
  const int front_begin = begin - front.k, back_begin = end - 1 - back.k;
  const SharedTile front_tile = FindBlocks(params, front_begin, front_begin + front.steps);
  const SharedTile back_tile = FindBlocks(params, back_begin, back_begin + back.steps);
  Turn turn;
  cuda::DependencyWait();
  for (int step = begin; step < end;) {
    const int tile_end = step - at.k + at.steps, piece_end = min(end, tile_end);
    const Target target = MakeTarget(params, at);
    float sums[S::kSums];
    Multiply<S>(ring, turn, piece_end - step, sums);
    if (at.k == 0 && piece_end == tile_end) {
      FinishTile<S>(target, sums);
    } else {
      LeaveSums<S>(params, {step == begin ? front_tile.first : back_tile.first, 0}, sums);
    }
    step = piece_end;
    if (step < end) at.NextTile(params);
  }
  cuda::NamedBarrier(1 + kGroups, kConsumers);
  // The blocks behind have left their part of the last tile long ago, the ones before have not.
#pragma unroll 1
  for (int i = 0; i < (front_begin == back_begin ? 1 : 2); ++i) {
    const bool in_back = i == 0;
    const SharedTile tile = {in_back ? back_tile.first : front_tile.first,
                             in_back ? back_tile.last : front_tile.last};
    if (tile.first == tile.last) continue;
    Cursor of = front;
    if (in_back) of = back;
    GatherSums<S>(params, ring, tile, MakeTarget(params, of));
  }
}

// The block's share of the rows to be multiplied.
template <typename S>
__device__ __forceinline__ void MakeRows(const Params& params) {
  using Shifter = RowShifter<typename S::Half, kConsumers, 1 + kGroups>;
  __shared__ typename Shifter::Shared shared;
  Shifter shifter(params.shifted, shared);
  shifter.LoadConstants(blockIdx.x);
  cuda::DependencyWait();
  shifter.Run();
  shifter.Arrive(params.ShiftCounter());
}

#endif

template <typename S>
__global__ void __launch_bounds__(kThreads, 2)
    StreamedKernel(const __grid_constant__ Params params) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  extern __shared__ uint8_t shared[];
  const Ring<S> ring(shared, params.stages);
  const int begin = params.begin[blockIdx.x], end = params.begin[blockIdx.x + 1];
  if (threadIdx.x < ring.count) {
    cuda::BarrierInit(ring.Full(threadIdx.x), 1);
    cuda::BarrierInit(ring.Empty(threadIdx.x), kConsumers / cuda::kWarp);
    cuda::BarrierInitFence();
  }
  __syncthreads();
  if (threadIdx.x >= kConsumers) {
    if (threadIdx.x == kConsumers) Produce<S>(params, ring, begin, end);
  } else {
    if (params.shifted.count > 0) MakeRows<S>(params);
    if (begin < end) Consume<S>(params, ring, begin, end);
  }
#endif
}

}  // namespace skein::streamed
