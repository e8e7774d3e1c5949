// Products of a chunk that do not need the state before it. With the letters of wkv_chunk_rows.cuh:
//   (I - AB) [W | U] = [A | (AK) V]     AB, AK: A B^T and A K^T below the diagonal
//   readout = R + (RB) W   y_local = (RK) V + (RB) U     RB, RK: with the diagonal
//   transition = (P_C B)^T W   delta^T = (P_C K)^T V + (P_C B)^T U
// and with S the state before the chunk, [value][key], S' the one behind it:
//   y = y_local + readout S^T     S' = S diag(P_C) + S transition^T + delta
// Derivation: divided by the running product, the recurrence adds two rank-one terms per token.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_chunk_rows.cuh"

namespace skein::cuda {

// Row `block` of blocks of two masked matrices: A's products with B and K, or R's.
template <int N, typename T>
__device__ inline void MaskedRows(ChunkShared<N, T>& shared, bool of_r, int block) {
  using Matrix = typename ChunkShared<N, T>::Matrix;
  const Matrix left = {of_r ? shared.r : shared.a}, b = {shared.b}, k = {shared.k};
  const Masked with_b = of_r ? kRB : kAB, with_k = of_r ? kRK : kAK;
  Tile rows[N / 16];
#pragma unroll
  for (int c = 0; c < N / 16; ++c) rows[c] = left.Load(block * 16, c * 16);
  for (int j = 0; j < block; ++j) {
    const T* scale = shared.between[block * (block - 1) / 2 + j] + Tile::Column();
    Sums b_sums, k_sums;
#pragma unroll
    for (int c = 0; c < N / 16; ++c) {
      const uint32_t low = *reinterpret_cast<const uint32_t*>(scale + c * 16);
      const uint32_t high = *reinterpret_cast<const uint32_t*>(scale + c * 16 + 8);
      const Tile scaled = {{MulPair<T>(rows[c].r[0], low), MulPair<T>(rows[c].r[1], low),
                            MulPair<T>(rows[c].r[2], high), MulPair<T>(rows[c].r[3], high)}};
      MulAdd<T>(b_sums, scaled, b.Load(j * 16, c * 16));
      MulAdd<T>(k_sums, scaled, k.Load(j * 16, c * 16));
    }
    shared.At(with_b, block, j).Store(0, 0, Narrow<T>(b_sums));
    shared.At(with_k, block, j).Store(0, 0, Narrow<T>(k_sums));
  }
  Sums b_sums, k_sums;
#pragma unroll
  for (int c = 0; c < N / 16; ++c) {
    MulAdd<T>(b_sums, rows[c], b.Load(block * 16, c * 16));
    MulAdd<T>(k_sums, rows[c], k.Load(block * 16, c * 16));
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int row = Tile::Row() + i / 2 % 2 * 8, column = Tile::Column() + i / 4 * 8 + i % 2;
    const bool keeps = of_r ? column <= row : column < row;
    float &b_sum = b_sums.s[i / 4][i % 4], &k_sum = k_sums.s[i / 4][i % 4];
    b_sum = keeps ? b_sum : 0.0f, k_sum = keeps ? k_sum : 0.0f;
    if (!of_r) shared.diagonal[block][column][row] = b_sum;
  }
  if (of_r) shared.At(with_b, block, block).Store(0, 0, Narrow<T>(b_sums));
  shared.At(with_k, block, block).Store(0, 0, Narrow<T>(k_sums));
}

// Diagonal block `block` of (I - AB)^-1 by forward substitution, a column by each of 16 lanes.
template <int N, typename T>
__device__ inline void InvertDiagonal(ChunkShared<N, T>& shared, int block) {
  const int column = threadIdx.x % 16;
  float x[16];
#pragma unroll
  for (int t = 0; t < 16; ++t) x[t] = t == column ? 1.0f : 0.0f;
#pragma unroll
  for (int s = 0; s < 15; ++s) {
    float factors[16];
#pragma unroll
    for (int t = (s + 1) / 4 * 4; t < 16; t += 4) {
      *reinterpret_cast<float4*>(factors + t) =
          *reinterpret_cast<const float4*>(&shared.diagonal[block][s][t]);
    }
#pragma unroll
    for (int t = s + 1; t < 16; ++t) x[t] = fmaf(factors[t], x[s], x[t]);
  }
#pragma unroll
  for (int t = 0; t < 16; ++t) *shared.At(kAB, block, block).At(t, column) = Narrow<T>(x[t]);
}

// All masked products, rows of blocks in an order that loads the warps evenly; a warp inverts the
// diagonal blocks that it has made.
template <int N, typename T>
__device__ inline void MaskedProducts(ChunkShared<N, T>& shared, int warp) {
  constexpr int kWarps = N / 16, kUnits = 2 * kChunkBlocks;
  const auto block = [](int unit) { return unit < 4 ? 3 - unit / 2 : unit / 2 - 2; };
  const bool of_r = warp % 2 != 0;
  for (int unit = warp; unit < kUnits; unit += kWarps) MaskedRows(shared, of_r, block(unit));
  if (of_r) return;
  __syncwarp();
  const int mine = warp + (threadIdx.x % kWarp < 16 ? 0 : kWarps);
  if (mine < kUnits) InvertDiagonal(shared, block(mine));
}

// What one warp makes: 16 key columns of W, 16 value columns of U and all that follows from them.
// Transposed throughout, so that sums of one product are an operand of the next.
template <int N, typename T>
class ChunkColumns {
 public:
  __device__ ChunkColumns(ChunkShared<N, T>& shared, int tile) : shared_(shared), tile_(tile) {}

  __device__ void Solve() {
    const Matrix a = {shared_.a}, v = {shared_.v};
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      v_[i] = v.Transposed(i * 16, tile_ * 16);
      Sums w = Widen<T>(a.Transposed(i * 16, tile_ * 16)), u;
      const float* start = shared_.start[i] + tile_ * 16 + Tile::Row();
#pragma unroll
      for (int j = 0; j < 8; ++j) w.s[j / 4][j % 4] *= start[j / 2 % 2 * 8];
#pragma unroll
      for (int j = 0; j <= i; ++j) MulAdd<T>(u, v_[j], Block(kAK, i, j));
#pragma unroll
      for (int j = 0; j < i; ++j) {
        const Tile ab = Block(kAB, i, j);
        MulAdd<T>(w, w_[j], ab);
        MulAdd<T>(u, u_[j], ab);
      }
      const Tile inverse = Block(kAB, i, i);
      Sums solved_w, solved_u;
      MulAdd<T>(solved_w, Narrow<T>(w), inverse);
      MulAdd<T>(solved_u, Narrow<T>(u), inverse);
      w_[i] = Narrow<T>(solved_w), u_[i] = Narrow<T>(solved_u);
    }
  }

  // The warp's rows of delta, transposed, as [value][key]; its columns of the transition go to
  // shared memory.
  __device__ void Updates(Sums (&delta)[N / 16]) {
    const Matrix k = {shared_.k}, b = {shared_.b};
    __syncwarp();  // every lane has its part of `a`, whose place the transition may take
#pragma unroll
    for (int i = 0; i < N / 16; ++i) {
      Sums transition;
      delta[i] = Sums();
#pragma unroll
      for (int j = 0; j < kChunkBlocks; ++j) {
        const Tile removal = b.Transposed(j * 16, i * 16);
        MulAdd<T>(transition, removal, w_[j]);
        MulAdd<T>(delta[i], v_[j], k.Transposed(j * 16, i * 16));
        MulAdd<T>(delta[i], u_[j], removal);
      }
      shared_.transition().Store(i * 16, tile_ * 16, Narrow<T>(transition));
    }
  }

  // The warp's y_local, transposed, as [value][token]; its columns of the readout take the place of
  // those of R.
  __device__ void Outputs(Sums (&y)[kChunkBlocks]) {
    const Matrix r = {shared_.r};
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      Sums readout = Widen<T>(r.Load(i * 16, tile_ * 16));
      y[i] = Sums();
      const float* start = shared_.start[i] + tile_ * 16 + Tile::Column();
#pragma unroll
      for (int j = 0; j < 8; ++j) readout.s[j / 4][j % 4] *= start[j / 4 * 8 + j % 2];
#pragma unroll
      for (int j = 0; j <= i; ++j) {
        const Tile rb = Block(kRB, i, j);
        MulAdd<T>(readout, rb, w_[j]);
        MulAdd<T>(y[i], v_[j], Block(kRK, i, j));
        MulAdd<T>(y[i], u_[j], rb);
      }
      __syncwarp();  // every lane has what the others are about to replace
      r.Store(i * 16, tile_ * 16, Narrow<T>(readout));
    }
  }

 private:
  using Matrix = typename ChunkShared<N, T>::Matrix;

  __device__ Tile Block(Masked which, int row, int column) {
    return shared_.At(which, row, column).Load(0, 0);
  }

  ChunkShared<N, T>& shared_;
  const int tile_;
  Tile v_[kChunkBlocks], w_[kChunkBlocks], u_[kChunkBlocks];
};

}  // namespace skein::cuda
