// Layer norm of a row by a block of threads that have neighbouring columns of it in registers.
#pragma once

#include <cstdint>

#include "kernels/cuda/math.cuh"
#include "kernels/cuda/vector_io.cuh"

namespace skein::cuda {

inline constexpr int kColumns = 8;  // of a thread

struct LayerNorm {
  const float *x, *weight, *bias;
  float eps;
  int rows, width;
};

// The thread's columns of the norm.
class NormedColumns {
 public:
  __device__ explicit NormedColumns(const LayerNorm& norm)
      : norm_(norm), column_(threadIdx.x * kColumns), mine_(column_ < norm.width) {}
  // Weights and biases; before Normalise.
  __device__ void LoadWeights() {
    if (!mine_) return;
    LoadTo(weight_, norm_.weight + column_);
    LoadTo(bias_, norm_.bias + column_);
  }
  bool __device__ mine() const { return mine_; }
  int __device__ column() const { return column_; }

  // Row i of n is row(i) of x; one below zero counts as zeros.
  template <int kCount, typename RowOf>
  __device__ void Load(RowOf row, float (&n)[kCount][kColumns]) const {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) n[i][j] = 0;
      if (mine_ && row(i) >= 0) {
        LoadTo(n[i], norm_.x + static_cast<int64_t>(row(i)) * norm_.width + column_);
      }
    }
  }

  // By the whole block. Sums of squares about the mean of each warp's columns become those about
  // the row's mean once that is known: one exchange between the warps, whatever kCount is.
  template <int kCount>
  __device__ void Normalise(float (&n)[kCount][kColumns]) const {
    __shared__ float2 parts[kCount][kWarp];  // mean and sum of squares about it
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int warps = blockDim.x / kWarp;
    const float mine = WarpColumns(warp), theirs = WarpColumns(lane);
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      float sum = 0, squares = 0;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) sum += n[i][j];
      const float mean = WarpSum(sum) / mine;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) squares = fmaf(n[i][j] - mean, n[i][j] - mean, squares);
      squares = WarpSum(mine_ ? squares : 0.0f);
      if (lane == 0) parts[i][warp] = make_float2(mean, squares);
    }
    __syncthreads();
    const float scale = 1.0f / static_cast<float>(norm_.width);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float2 part = lane < warps ? parts[i][lane] : make_float2(0, 0);
      const float mean = WarpSum(lane < warps ? part.x * theirs : 0.0f) * scale;
      const float apart = part.x - mean;
      const float squares = WarpSum(lane < warps ? fmaf(theirs * apart, apart, part.y) : 0.0f);
      const float factor = rsqrtf(fmaf(squares, scale, norm_.eps));
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        n[i][j] = fmaf((n[i][j] - mean) * factor, weight_[j], bias_[j]);
      }
    }
  }

 private:
  // How many of the row's columns a warp of the block has.
  __device__ float WarpColumns(int warp) const {
    constexpr int kMost = kWarp * kColumns;
    return static_cast<float>(min(norm_.width - warp * kMost, kMost));
  }

  const LayerNorm& norm_;
  const int column_;
  const bool mine_;
  float weight_[kColumns], bias_[kColumns];
};

}  // namespace skein::cuda
