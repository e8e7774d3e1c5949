// First kernel of the chunked recurrence (wkv_chunk_layout.cuh): everything of a chunk that does
// not need the state before it. Notation for token t of a chunk, P_t the product of decays through
// t:
//   A_t = -q_t P_(t-1)    R_t = r_t P_t    K_s = k_s / P_s    B_s = b_s / P_s
//   (I - AB) [W | U] = [A | (AK) V]     AB, AK: A B^T and A K^T below the diagonal
//   readout = R + (RB) W   y_local = (RK) V + (RB) U     RB, RK: with the diagonal
//   transition = (P_C B)^T W   delta^T = (P_C K)^T V + (P_C B)^T U
// Derivation: divided by the running product, the recurrence adds two rank-one terms per token.
//
// Range: a quotient of products over 64 tokens does not fit into fp16. So every block of 16 tokens
// refers to the product at its middle, which leaves factors within 2^7, and a product between two
// blocks is scaled by the decay from one middle to the other, which is at most 1.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv_chunk_layout.cuh"
#include "kernels/cuda/wkv_vectors.cuh"

namespace skein::cuda {

// Matrices below the diagonal, of which only the blocks that are not zero are kept.
enum Masked { kAB, kAK, kRB, kRK, kMasked };
__device__ constexpr int BlockIndex(int row, int column) { return row * (row + 1) / 2 + column; }
inline constexpr int kBlocks = kChunkBlocks * (kChunkBlocks + 1) / 2;

template <int N, typename T>
struct ChunkShared {
  using Matrix = TileMatrix<T, N>;
  using Block = TileMatrix<T, 16>;
  static constexpr int kElements = kChunkTokens * Matrix::kStride;
  static constexpr int kPairs = kChunkBlocks * (kChunkBlocks - 1) / 2;

  alignas(16) T a[kElements];
  alignas(16) T r[kElements];
  alignas(16) T k[kElements];
  alignas(16) T b[kElements];
  alignas(16) T v[kElements];
  alignas(16) T masked[kMasked][kBlocks][256];       // AB's diagonal blocks: those of (I - AB)^-1
  alignas(16) float diagonal[kChunkBlocks][16][20];  // of AB, in full precision
  float half[kChunkBlocks][N];   // log2 of the decay over a block's first eight tokens
  float whole[kChunkBlocks][N];  // and over all of it
  float start[kChunkBlocks][N];  // decay from the chunk's start to a block's middle
  T tail[kChunkBlocks][N];       // from there to the chunk's end
  T between[kPairs][N];          // from the middle of an earlier block to that of a later one

  __device__ Block At(Masked which, int row, int column) {
    return {masked[which][BlockIndex(row, column)]};
  }
};

// The four vectors of 16 tokens as rows of operands; tokens from `count` on change nothing.
template <int N, typename T, typename Stage>
class KeyRows {
 public:
  __device__ KeyRows(const Stage& stage, ChunkShared<N, T>& shared, const Chunk& chunk, int head,
                     float* bonus)
      : stage_(stage), shared_(shared), chunk_(chunk), head_(head), bonus_(bonus) {}

  // Runs outwards from the middle of block `block`, both ways at once.
  __device__ void Fill(int block) {
    float2 ahead[kCount], behind[kCount];  // log2 of the product, counted from the middle
    float2 ahead_factor[kCount], behind_factor[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      ahead[i] = behind[i] = make_float2(0, 0);
      ahead_factor[i] = behind_factor[i] = make_float2(1, 1);
    }
    for (int i = 0; i < 8; ++i) {
      KeyVectors<N> x;
      const int after = block * 16 + 8 + i, before = block * 16 + 7 - i;
      Load(after, x);
#pragma unroll
      for (int p = 0; p < kCount; ++p) {
        const float2 earlier = ahead_factor[p];
        Move(ahead[p], x.log_w[p], 1.0f, ahead_factor[p]);
        Put(after, p, x, earlier, ahead_factor[p], ahead[p]);
      }
      Load(before, x);
#pragma unroll
      for (int p = 0; p < kCount; ++p) {
        const float2 now = behind_factor[p], log_now = behind[p];
        Move(behind[p], x.log_w[p], -1.0f, behind_factor[p]);
        Put(before, p, x, behind_factor[p], now, log_now);
      }
    }
#pragma unroll
    for (int p = 0; p < kCount; ++p) {
      if (!KeyPairs<N>::Owned(p)) continue;
      const int c = 2 * KeyPairs<N>::Pair(p);
      shared_.half[block][c] = -behind[p].x, shared_.half[block][c + 1] = -behind[p].y;
      shared_.whole[block][c] = ahead[p].x - behind[p].x;
      shared_.whole[block][c + 1] = ahead[p].y - behind[p].y;
    }
  }

 private:
  static constexpr int kCount = KeyVectors<N>::kCount;

  __device__ void Load(int token, KeyVectors<N>& x) const {
    if (token < chunk_.rows) {
      stage_.template Keys<N>(chunk_.begin + token, head_, x);
    } else {
#pragma unroll
      for (int p = 0; p < kCount; ++p) {
        x.r[p] = x.log_w[p] = x.k[p] = x.q[p] = x.b[p] = make_float2(0, 0);
      }
      x.bonus = 0;
    }
    if (threadIdx.x % kWarp == 0) bonus_[token] = x.bonus;
  }
  __device__ static void Move(float2& log, const float2& step, float sign, float2& factor) {
    log.x = fmaf(sign, step.x, log.x), log.y = fmaf(sign, step.y, log.y);
    factor = make_float2(exp2f(log.x), exp2f(log.y));
  }
  __device__ void Put(int token, int p, const KeyVectors<N>& x, const float2& earlier,
                      const float2& now, const float2& log_now) const {
    using Matrix = typename ChunkShared<N, T>::Matrix;
    if (!KeyPairs<N>::Owned(p)) return;
    const int c = 2 * KeyPairs<N>::Pair(p);
    const float2 inverse = make_float2(exp2f(-log_now.x), exp2f(-log_now.y));
    Matrix{shared_.a}.StorePair(token, c, -x.q[p].x * earlier.x, -x.q[p].y * earlier.y);
    Matrix{shared_.r}.StorePair(token, c, x.r[p].x * now.x, x.r[p].y * now.y);
    Matrix{shared_.k}.StorePair(token, c, x.k[p].x * inverse.x, x.k[p].y * inverse.y);
    Matrix{shared_.b}.StorePair(token, c, x.b[p].x * inverse.x, x.b[p].y * inverse.y);
  }

  const Stage& stage_;
  ChunkShared<N, T>& shared_;
  const Chunk& chunk_;
  const int head_;
  float* const bonus_;
};

// The values of 16 tokens, for products and for the output.
template <int N, typename T, typename Stage>
__device__ inline void FillValues(const Stage& stage, ChunkShared<N, T>& shared, const Chunk& chunk,
                                  int64_t channel, int block, ChunkResult<N, T>& result) {
  const typename ChunkShared<N, T>::Matrix matrix = {shared.v};
#pragma unroll 4
  for (int token = block * 16; token < block * 16 + 16; ++token) {
#pragma unroll
    for (int p = 0; p < KeyPairs<N>::kCount; ++p) {
      if (!KeyPairs<N>::Owned(p)) continue;
      const int c = 2 * KeyPairs<N>::Pair(p);
      float v[2] = {0, 0};
      if (token < chunk.rows) {
        stage.template Values<2>(chunk.begin + token, channel + c, v);
        stage.template PublishValues<2>(chunk.begin + token, channel + c, v);
      }
      matrix.StorePair(token, c, v[0], v[1]);
      *reinterpret_cast<uint32_t*>(&result.values[token][c]) = PackPair<T>(v[0], v[1]);
    }
  }
}

// The decays between blocks, from those of the blocks.
template <int N, typename T>
__device__ inline void FillDecays(ChunkShared<N, T>& shared, float* decay) {
  const int c = threadIdx.x % N;
  float middle[kChunkBlocks], sum = 0;
#pragma unroll
  for (int i = 0; i < kChunkBlocks; ++i) {
    middle[i] = sum + shared.half[i][c];
    sum += shared.whole[i][c];
  }
  if (threadIdx.x < N) {
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      shared.start[i][c] = exp2f(middle[i]);
      shared.tail[i][c] = Narrow<T>(exp2f(sum - middle[i]));
    }
    decay[c] = exp2f(sum);
  } else {
#pragma unroll
    for (int i = 1; i < kChunkBlocks; ++i) {
#pragma unroll
      for (int j = 0; j < i; ++j) {
        shared.between[i * (i - 1) / 2 + j][c] = Narrow<T>(exp2f(middle[i] - middle[j]));
      }
    }
  }
}

// Block row `block` of one of the four masked matrices.
template <int N, typename T>
__device__ inline void MaskedRow(ChunkShared<N, T>& shared, Masked which, int block) {
  using Matrix = typename ChunkShared<N, T>::Matrix;
  const Matrix left = {which == kAB || which == kAK ? shared.a : shared.r};
  const Matrix right = {which == kAB || which == kRB ? shared.b : shared.k};
  const bool strict = which == kAB || which == kAK;
  Tile rows[N / 16];
#pragma unroll
  for (int k = 0; k < N / 16; ++k) rows[k] = left.Load(block * 16, k * 16);
  for (int j = 0; j < block; ++j) {
    const T* scale = shared.between[block * (block - 1) / 2 + j] + Tile::Column();
    Sums sums;
#pragma unroll
    for (int k = 0; k < N / 16; ++k) {
      const uint32_t low = *reinterpret_cast<const uint32_t*>(scale + k * 16);
      const uint32_t high = *reinterpret_cast<const uint32_t*>(scale + k * 16 + 8);
      const Tile scaled = {{MulPair<T>(rows[k].r[0], low), MulPair<T>(rows[k].r[1], low),
                            MulPair<T>(rows[k].r[2], high), MulPair<T>(rows[k].r[3], high)}};
      MulAdd<T>(sums, scaled, right.Load(j * 16, k * 16));
    }
    shared.At(which, block, j).Store(0, 0, Narrow<T>(sums));
  }
  Sums sums;
#pragma unroll
  for (int k = 0; k < N / 16; ++k) MulAdd<T>(sums, rows[k], right.Load(block * 16, k * 16));
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int row = Tile::Row() + i / 2 % 2 * 8, column = Tile::Column() + i / 4 * 8 + i % 2;
    float& sum = sums.s[i / 4][i % 4];
    if (column > row - strict) sum = 0;
    if (which == kAB) shared.diagonal[block][row][column] = sum;
  }
  if (which != kAB) shared.At(which, block, block).Store(0, 0, Narrow<T>(sums));
}

// The diagonal blocks of (I - AB)^-1 by forward substitution, a column by each of 64 threads.
template <int N, typename T>
__device__ inline void InvertDiagonal(ChunkShared<N, T>& shared) {
  const int block = threadIdx.x / 16, column = threadIdx.x % 16;
  float x[16];
#pragma unroll
  for (int t = 0; t < 16; ++t) {
    x[t] = t == column ? 1.0f : 0.0f;
#pragma unroll
    for (int s = 0; s < t; ++s) x[t] = fmaf(shared.diagonal[block][t][s], x[s], x[t]);
    *shared.At(kAB, block, block).At(t, column) = Narrow<T>(x[t]);
  }
}

// What one warp makes: 16 key columns of W, 16 value columns of U and all that follows from them.
// Transposed throughout, so that sums of one product are an operand of the next.
template <int N, typename T>
class ChunkColumns {
 public:
  __device__ ChunkColumns(ChunkShared<N, T>& shared, ChunkResult<N, T>& result, int tile)
      : shared_(shared), result_(result), tile_(tile) {}

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

  __device__ void StoreOutputs() {
    const Matrix r = {shared_.r};
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      Sums readout = Widen<T>(r.Load(i * 16, tile_ * 16)), y;
      const float* start = shared_.start[i] + tile_ * 16 + Tile::Column();
#pragma unroll
      for (int j = 0; j < 8; ++j) readout.s[j / 4][j % 4] *= start[j / 4 * 8 + j % 2];
#pragma unroll
      for (int j = 0; j <= i; ++j) {
        const Tile rb = Block(kRB, i, j);
        MulAdd<T>(readout, rb, w_[j]);
        MulAdd<T>(y, v_[j], Block(kRK, i, j));
        MulAdd<T>(y, u_[j], rb);
      }
      StoreTile(result_.readout[i][tile_].lanes, Narrow<T>(readout));
      StoreTile(result_.y_local[tile_][i].lanes, Narrow<T>(y));
    }
  }

  __device__ void StoreUpdates() {
    const Matrix k = {shared_.k}, b = {shared_.b};
    for (int i = 0; i < N / 16; ++i) {
      Sums transition, delta;
#pragma unroll
      for (int j = 0; j < kChunkBlocks; ++j) {
        const T* tail = shared_.tail[j] + i * 16 + Tile::Row();
        const Tile key = Scaled(k.Transposed(j * 16, i * 16), tail);
        const Tile removal = Scaled(b.Transposed(j * 16, i * 16), tail);
        MulAdd<T>(transition, removal, w_[j]);
        MulAdd<T>(delta, v_[j], key);
        MulAdd<T>(delta, u_[j], removal);
      }
      StoreTile(result_.transition[i][tile_].lanes, Narrow<T>(transition));
      StoreTile(result_.delta[tile_][i].lanes, Narrow<T>(delta));
    }
  }

 private:
  using Matrix = typename ChunkShared<N, T>::Matrix;

  __device__ Tile Block(Masked which, int row, int column) {
    return shared_.At(which, row, column).Load(0, 0);
  }
  // Rows times factors.
  __device__ static Tile Scaled(const Tile& x, const T* rows) {
    const uint32_t upper = Twice(rows[0]), lower = Twice(rows[8]);
    return {{MulPair<T>(x.r[0], upper), MulPair<T>(x.r[1], lower), MulPair<T>(x.r[2], upper),
             MulPair<T>(x.r[3], lower)}};
  }

  ChunkShared<N, T>& shared_;
  ChunkResult<N, T>& result_;
  const int tile_;
  Tile v_[kChunkBlocks], w_[kChunkBlocks], u_[kChunkBlocks];
};

// Which heads a launch takes, and where its results go: [chunk][head - first_head].
template <int N, typename T>
struct ChunkRange {
  ChunkResult<N, T>* results;
  int first_head, num_heads;

  __device__ ChunkResult<N, T>& At(int64_t chunk) const {
    return results[chunk * num_heads + blockIdx.x];
  }
};

// Grid (head, chunk), N / 16 warps.
template <int N, typename T, typename Stage>
__global__ void __launch_bounds__(2 * N, N == 64 ? 3 : 1)
    WkvChunkKernel(const __grid_constant__ Stage stage, const WkvSequences sequences,
                   const ChunkPlan plan, const ChunkRange<N, T> range) {
  extern __shared__ __align__(128) char memory[];
  ChunkShared<N, T>& shared = *reinterpret_cast<ChunkShared<N, T>*>(memory);
  const int warp = threadIdx.x / kWarp, head = range.first_head + blockIdx.x;
  const Chunk chunk = FindChunk(plan, sequences, blockIdx.y);
  DependencyWait();
  ReleaseDependents();
  if (chunk.rows == 0) return;
  ChunkResult<N, T>& result = range.At(blockIdx.y);

  for (int unit = warp; unit < 2 * kChunkBlocks; unit += N / 16) {
    if (unit < kChunkBlocks) {
      KeyRows<N, T, Stage>(stage, shared, chunk, head, result.bonus).Fill(unit);
    } else {
      FillValues(stage, shared, chunk, static_cast<int64_t>(head) * N, unit - kChunkBlocks, result);
    }
  }
  __syncthreads();
  FillDecays(shared, result.decay);
  __syncthreads();
  for (int unit = warp; unit < kMasked * kChunkBlocks; unit += N / 16) {
    const int turn = unit / kMasked;  // rows of blocks in the order 3, 2, 0, 1 load warps evenly
    MaskedRow(shared, static_cast<Masked>(unit % kMasked), turn < 2 ? 3 - turn : turn - 2);
  }
  __syncthreads();
  if (threadIdx.x < kChunkTokens) InvertDiagonal(shared);
  __syncthreads();
  ChunkColumns<N, T> columns(shared, result, warp);
  columns.Solve();
  columns.StoreOutputs();
  columns.StoreUpdates();
}

}  // namespace skein::cuda
