// Layer norm and token shift of a decode step's rows by the kernel that multiplies them, for
// StreamedKernel: a launch less between a product and the next, while the ring is full already.
//
// A block makes parts of rows. The sums over a row are those of NormedColumns, bit for bit.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cuda/math.cuh"
#include "kernels/cuda/normed_columns.cuh"
#include "kernels/linear/hopper.cuh"

namespace skein::streamed {

constexpr int kMaxShifted = 6;
constexpr int kMaxShiftedWidth = 4096;

// Rows of sequences of one token each; row i is that of `slots[i]`, below zero for none.
struct ShiftedRows {
  const float *x, *weight, *bias;
  const int32_t* slots;
  char* state;
  int64_t slot_stride;
  const float* mix[kMaxShifted];
  void* out[kMaxShifted];
  float eps;
  int count;  // of inputs made of a row; none: no rows are made
  int rows, width;
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

template <typename Half, int kThreads, int kBarrier>
class RowShifter {
 public:
  static constexpr int kPartColumns = 4 * kThreads;
  struct Shared {
    float2 warps[cuda::kWarp];  // mean and sum of squares about it
    float4 x[kThreads];         // the part's columns
  };

  __device__ RowShifter(const ShiftedRows& rows, Shared& shared)
      : rows_(rows), shared_(shared), parts_((rows.width + kPartColumns - 1) / kPartColumns) {}

  // What does not depend on the kernel ahead, of the block's first part.
  __device__ void LoadConstants(int unit) {
    row_ = unit / parts_;
    part_ = unit % parts_;
    column_ = part_ * kPartColumns + static_cast<int>(threadIdx.x) * 4;
    mine_ = row_ < rows_.rows && column_ < rows_.width;
    state_ = nullptr;
    before_ = make_float4(0, 0, 0, 0);
    if (!mine_) return;
    weight_ = Load(rows_.weight + column_);
    bias_ = Load(rows_.bias + column_);
    const int slot = rows_.slots[row_];
    if (slot >= 0) {
      state_ = reinterpret_cast<float*>(rows_.state + slot * rows_.slot_stride) + column_;
      before_ = Load(state_);
    }
#pragma unroll
    for (int i = 0; i < kMaxShifted; ++i) {
      if (i < rows_.count) mix_[i] = Load(rows_.mix[i] + column_);
    }
  }

  // All parts of the block, whose first one's constants are there.
  __device__ void Run() {
    for (int unit = blockIdx.x; unit < rows_.rows * parts_;) {
      Sums();
      cuda::NamedBarrier(kBarrier, kThreads);
      Store();
      unit += gridDim.x;
      if (unit >= rows_.rows * parts_) break;
      LoadConstants(unit);
      cuda::NamedBarrier(kBarrier, kThreads);
    }
  }

  // Tells AwaitShifted that the block's parts are written.
  __device__ void Arrive(uint32_t* counter) {
    __threadfence();
    asm volatile("fence.proxy.async;" ::: "memory");
    cuda::NamedBarrier(kBarrier, kThreads);
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(counter, 1);
    }
  }

 private:
  static constexpr int kColumns = cuda::kColumns;
  static constexpr int kWarpColumns = cuda::kWarp * kColumns;
  static constexpr int kTurns = kMaxShiftedWidth / (kThreads * kColumns);

  __device__ static float4 Load(const float* from) {
    return __ldcg(reinterpret_cast<const float4*>(from));
  }
  __device__ float ColumnsOf(int warp) const {
    return static_cast<float>(min(rows_.width - warp * kWarpColumns, kWarpColumns));
  }

  __device__ void Sums() {
    const float* x = rows_.x + static_cast<int64_t>(row_) * rows_.width;
    float n[kTurns][kColumns];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int column = (i * kThreads + static_cast<int>(threadIdx.x)) * kColumns;
      float4 low = make_float4(0, 0, 0, 0), high = low;
      if (column < rows_.width) low = Load(x + column), high = Load(x + column + 4);
      n[i][0] = low.x, n[i][1] = low.y, n[i][2] = low.z, n[i][3] = low.w;
      n[i][4] = high.x, n[i][5] = high.y, n[i][6] = high.z, n[i][7] = high.w;
      const int place = column - part_ * kPartColumns;
      if (place < 0 || place >= kPartColumns) continue;
      shared_.x[place / 4] = low;
      shared_.x[place / 4 + 1] = high;
    }
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int warp = (i * kThreads + static_cast<int>(threadIdx.x)) / cuda::kWarp;
      if (warp * kWarpColumns >= rows_.width) continue;
      const bool inside =
          warp * kWarpColumns + static_cast<int>(threadIdx.x) % cuda::kWarp * kColumns <
          rows_.width;
      float sum = 0, squares = 0;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) sum += n[i][j];
      const float mean = cuda::WarpSum(sum) / ColumnsOf(warp);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        squares = fmaf(n[i][j] - mean, n[i][j] - mean, squares);
      }
      squares = cuda::WarpSum(inside ? squares : 0.0f);
      if (threadIdx.x % cuda::kWarp == 0) shared_.warps[warp] = make_float2(mean, squares);
    }
  }

  __device__ void Store() {
    const int lane = threadIdx.x % cuda::kWarp;
    const int warps = (rows_.width + kWarpColumns - 1) / kWarpColumns;
    const float scale = 1.0f / static_cast<float>(rows_.width), theirs = ColumnsOf(lane);
    const float2 part = lane < warps ? shared_.warps[lane] : make_float2(0, 0);
    const float mean = cuda::WarpSum(lane < warps ? part.x * theirs : 0.0f) * scale;
    const float apart = part.x - mean;
    const float squares = cuda::WarpSum(lane < warps ? fmaf(theirs * apart, apart, part.y) : 0.0f);
    const float factor = rsqrtf(fmaf(squares, scale, rows_.eps));
    if (!mine_) return;
    const float4 x = shared_.x[threadIdx.x];
    const float4 n = make_float4(fmaf((x.x - mean) * factor, weight_.x, bias_.x),
                                 fmaf((x.y - mean) * factor, weight_.y, bias_.y),
                                 fmaf((x.z - mean) * factor, weight_.z, bias_.z),
                                 fmaf((x.w - mean) * factor, weight_.w, bias_.w));
    const float4 d =
        make_float4(before_.x - n.x, before_.y - n.y, before_.z - n.z, before_.w - n.w);
    const int64_t at = static_cast<int64_t>(row_) * rows_.width + column_;
#pragma unroll
    for (int i = 0; i < kMaxShifted; ++i) {
      if (i >= rows_.count) break;
      const Half out[4] = {cuda::Narrow<Half>(fmaf(d.x, mix_[i].x, n.x)),
                           cuda::Narrow<Half>(fmaf(d.y, mix_[i].y, n.y)),
                           cuda::Narrow<Half>(fmaf(d.z, mix_[i].z, n.z)),
                           cuda::Narrow<Half>(fmaf(d.w, mix_[i].w, n.w))};
      uint2 bits;
      memcpy(&bits, out, sizeof(bits));
      *reinterpret_cast<uint2*>(static_cast<Half*>(rows_.out[i]) + at) = bits;
    }
    if (state_ != nullptr) *reinterpret_cast<float4*>(state_) = n;
  }

  const ShiftedRows& rows_;
  Shared& shared_;
  const int parts_;
  int row_, part_, column_;
  bool mine_;
  float* state_;
  float4 weight_, bias_, before_, mix_[kMaxShifted];
};

// By one thread: all blocks' shares are written, for copies of it too. Who sees it last resets the
// counter.
__device__ inline void AwaitShifted(uint32_t* counter) {
  while (cuda::LoadAcquire(counter) < gridDim.x) {
  }
  asm volatile("fence.proxy.async;" ::: "memory");
  if (atomicAdd(counter, 1) == 2 * gridDim.x - 1) *counter = 0;
}

#endif

}  // namespace skein::streamed
