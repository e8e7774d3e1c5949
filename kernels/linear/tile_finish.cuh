// From the sums of a tile, in the registers of two warpgroups, to y: by way of shared memory and
// bulk copies, in chunks of 16 rows and 32 columns that a warp holds.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"
#include "kernels/linear/tile_stages.cuh"

namespace skein::cuda {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

constexpr float kLog2OfE = 1.44269504088896341f;

__device__ inline float PowerOfTwo(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float Reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// sigmoid(x), tanh(x) or exp(-e^(-1/2) sigmoid(x)), with tanh(x) = 2 sigmoid(2 x) - 1. No branch in
// the loops: elements overlap.
__device__ inline void Squash(Activation activation, float (&v)[16]) {
  const bool tanh = activation == Activation::kTanh;
  const float inner = tanh ? -2.0f * kLog2OfE : -kLog2OfE;
  const float outer = tanh ? 2.0f : 1.0f, below = tanh ? -1.0f : 0.0f;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    v[i] = fmaf(outer, Reciprocal(1.0f + PowerOfTwo(inner * v[i])), below);
  }
  if (activation != Activation::kDecay) return;
#pragma unroll
  for (int i = 0; i < 16; ++i) v[i] = PowerOfTwo(-0.60653065971263342f * kLog2OfE * v[i]);
}

__device__ inline uint32_t PackPair(float a, float b, __half) {
  const __half2 pair = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}
__device__ inline uint32_t PackPair(float a, float b, __nv_bfloat16) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

// What finishing a tile takes from its problem, read before the tile is multiplied.
struct TileOutput {
  const CUtensorMap* y;
  const float* bias;
  int outputs;
  int box_chunks;
  bool f32, accumulate;
  Activation activation;

  __device__ explicit TileOutput(const TileProblem& p)
      : y(&p.y),
        bias(p.bias),
        outputs(p.outputs),
        box_chunks(p.box_chunks),
        f32(p.f32),
        accumulate(p.accumulate),
        activation(p.activation) {}
};

// A chunk: lane l has, for g in [0, 4) and h in [0, 2), elements 8 g + 2 (l % 4) and the next of
// row 8 h + l / 4 in v[4 g + 2 h], v[4 g + 2 h + 1]. To a box in shared memory as the copy engine
// reads it: rows of 128 bytes whose 16-byte pieces are swizzled.
__device__ inline void StageFloats(uint32_t to, const float (&v)[16]) {
  const int row = threadIdx.x % kWarp / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int piece = (i / 2 * 2 + t / 2) ^ row;
    asm volatile("st.shared.v2.f32 [%0], {%1, %2};" ::"r"(to + (row + i % 2 * 8) * 128 +
                                                          piece * 16 + t % 2 * 8),
                 "f"(v[2 * i]), "f"(v[2 * i + 1])
                 : "memory");
  }
}

// The same of 16-bit elements: the left or right half of such rows, or rows of 64 bytes.
template <typename T>
__device__ void StageHalves(uint32_t to, bool wide, bool right, const float (&v)[16]) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = lane % 8 + half * 8;
    const int offset = wide ? row * 128 + ((lane / 8 + (right ? 4 : 0)) ^ lane % 8) * 16
                            : row * 64 + ((lane / 8) ^ (row / 2 % 4)) * 16;
    uint32_t pair[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      pair[i] = PackPair(v[4 * i + 2 * half], v[4 * i + 2 * half + 1], T());
    }
    asm volatile(
        "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(to + offset),
        "r"(pair[0]), "r"(pair[1]), "r"(pair[2]), "r"(pair[3])
        : "memory");
  }
}

// The lane's biases of the chunk at column `col`.
__device__ inline void LoadBias(const TileOutput& p, int col, float2 (&bias)[4]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int c = col + 8 * i + 2 * (threadIdx.x % 4);
    bias[i] = make_float2(0, 0);
    if (p.bias != nullptr && c < p.outputs) {
      bias[i] = __ldg(reinterpret_cast<const float2*>(p.bias + c));
    }
  }
}

__device__ inline void Activate(const TileOutput& p, const float2 (&bias)[4], float (&v)[16]) {
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    v[4 * i] += bias[i].x, v[4 * i + 1] += bias[i].y;
    v[4 * i + 2] += bias[i].x, v[4 * i + 3] += bias[i].y;
  }
  if (p.activation == Activation::kReluSquared) {
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float positive = fmaxf(v[i], 0.0f);
      v[i] = positive * positive;
    }
  } else if (p.activation != Activation::kNone) {
    Squash(p.activation, v);
  }
}

// By a warp: takes chunks of 16 rows from left to right and hands full boxes to the copy engine.
template <typename S>
class BoxWriter {
 public:
  // `buffers`: S::kBoxes boxes of this warp in shared memory.
  __device__ BoxWriter(const TileOutput& output, uint32_t buffers)
      : output_(output), buffers_(buffers) {
    CopiesRead<0>();  // of the tile before, which may have ended with the box that this begins with
  }

  __device__ void Write(const float (&v)[16], int row, int col) {
    const uint32_t box = buffers_ + index_ * S::kBoxBytes;
    if (filled_ == 0) {
      CopiesRead<S::kBoxes - 1>();  // what went out of this box before
      __syncwarp();
    }
    if (output_.f32) {
      StageFloats(box, v);
    } else {
      StageHalves<typename S::T>(box, output_.box_chunks == 2, filled_ == 1, v);
    }
    if (++filled_ == output_.box_chunks) Send(box, row, col - 32 * (filled_ - 1));
  }

 private:
  __device__ void Send(uint32_t box, int row, int col) {
    filled_ = 0;
    index_ = S::kBoxes == 1 ? 0 : index_ ^ 1;
    FenceForCopies();
    __syncwarp();
    if (threadIdx.x % kWarp != 0) return;
    if (output_.accumulate) {
      AddBox(output_.y, box, col, row);
    } else {
      StoreBox(output_.y, box, col, row);
    }
    CommitCopies();
  }

  const TileOutput& output_;
  const uint32_t buffers_;
  int index_ = 0, filled_ = 0;
};

#endif

}  // namespace skein::cuda
