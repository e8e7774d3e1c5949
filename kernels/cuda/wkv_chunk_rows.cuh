// A chunk's tokens in shared memory, as operands of products. Notation for token t of a chunk, P_t
// the product of decays through t:
//   A_t = -q_t P_(t-1)    R_t = r_t P_t    K_s = k_s / P_s    B_s = b_s / P_s
//
// Range: a quotient of products over 64 tokens does not fit into fp16. So every block of 16 tokens
// refers to the product at its middle, which leaves factors within 2^7, and a product between two
// blocks is scaled by the decay from one middle to the other, which is at most 1.
#pragma once

#include <cstdint>

#include "kernels/cuda/tile_mma.cuh"
#include "kernels/cuda/wkv_chunk_chain.cuh"
#include "kernels/cuda/wkv_chunk_plan.cuh"
#include "kernels/cuda/wkv_tokens.cuh"
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
  static constexpr int kOutputRow = N + 4;  // floats, so that columns spread over the banks
  static constexpr bool kInPlace = N == kChunkTokens;

  alignas(16) T a[kElements];
  alignas(16) T r[kElements];  // later what of the state comes out: [token][key]
  alignas(16) T v[kElements];
  alignas(16) T k[kElements];  // this and what follows: later the outputs
  alignas(16) T b[kElements];
  alignas(16) T masked[kMasked][kBlocks][256];       // AB's diagonal blocks: those of (I - AB)^-1
  alignas(16) float diagonal[kChunkBlocks][16][20];  // of AB, in full precision, transposed
  alignas(16) T tail[kChunkBlocks][N];  // decay from a block's middle to the chunk's end
  alignas(16) T own_transition[kInPlace ? 8 : N * Matrix::kStride];
  ChunkMailbox<N> mailbox;
  float behind[kChunkBlocks][N];  // log2 of the decay over a block's first eight tokens
  float ahead[kChunkBlocks][N];   // and over its last
  float start[kChunkBlocks][N];   // decay from the chunk's start to a block's middle
  float decay[N];                 // over all of it
  float bonus[kChunkTokens];
  T between[kPairs][N];  // decay from the middle of an earlier block to that of a later one

  __device__ Block At(Masked which, int row, int column) {
    return {masked[which][BlockIndex(row, column)]};
  }
  // From the state before to the one behind: [key after][key before]. A warp's columns may take the
  // place of its columns of `a` once those are used up.
  __device__ Matrix transition() { return {kInPlace ? a : own_transition}; }
  __device__ float* Output(int token) {
    static_assert(kChunkTokens * kOutputRow * sizeof(float) <=
                  sizeof(k) + sizeof(b) + sizeof(masked));
    return reinterpret_cast<float*>(k) + token * kOutputRow;
  }
};

// The key vectors of eight tokens, from the middle of a block of 16 outwards, as rows of operands.
// Tokens behind the chunk's end change nothing.
template <int N, typename T, typename Stage, bool kAhead>
class KeyRun {
 public:
  using Raw = typename Stage::template RawKeys<N>;
  using Weights = typename Stage::template KeyWeights<N>;
  static constexpr int kTokens = 8;
  static constexpr int kBatch = sizeof(Raw) <= 16 ? 8 : sizeof(Raw) <= 32 ? 4 : 2;  // read at once

  __device__ KeyRun(const Stage& stage, const Chunk& chunk, int head, int block)
      : stage_(stage), chunk_(chunk), head_(head), block_(block) {}

  __device__ void Load() { LoadFrom(0); }
  __device__ void Fill(ChunkShared<N, T>& shared, const Weights& weights) {
    float2 log[kCount], factor[kCount];  // of the product, counted from the middle
#pragma unroll
    for (int p = 0; p < kCount; ++p) log[p] = make_float2(0, 0), factor[p] = make_float2(1, 1);
#pragma unroll
    for (int first = 0; first < kTokens; first += kBatch) {
      if (first > 0) LoadFrom(first);
      float scales = 1, scale = 1;
      if constexpr (Stage::kScalesKeys) scales = Scales(shared, weights, first);
#pragma unroll
      for (int i = 0; i < kBatch; ++i) {
        KeyVectors<N> x;
        if constexpr (Stage::kScalesKeys) scale = __shfl_sync(~0u, scales, i * kSumLanes);
        stage_.template MakeKeys<N>(raw_[i], weights, scale, x);
        if constexpr (!Stage::kScalesKeys) {
          if (threadIdx.x % kWarp == 0) shared.bonus[Token(first + i)] = x.bonus;
        }
#pragma unroll
        for (int p = 0; p < kCount; ++p) {
          Put(shared, Token(first + i), p, x, log[p], factor[p]);
        }
      }
    }
#pragma unroll
    for (int p = 0; p < kCount; ++p) {
      if (!KeyPairs<N>::Owned(p)) continue;
      const int c = 2 * KeyPairs<N>::Pair(p);
      float* to = (kAhead ? shared.ahead : shared.behind)[block_] + c;
      *reinterpret_cast<float2*>(to) = kAhead ? log[p] : make_float2(-log[p].x, -log[p].y);
    }
  }

 private:
  static constexpr int kCount = KeyVectors<N>::kCount;
  static constexpr int kSumLanes = kWarp / kBatch;  // that share a token's sums

  __device__ int Token(int i) const { return block_ * 16 + (kAhead ? 8 + i : 7 - i); }
  __device__ void LoadFrom(int first) {
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const int token = Token(first + i);
      raw_[i] = Stage::template NoKeys<N>();
      if (token < chunk_.rows) stage_.template LoadKeys<N>(chunk_.begin, head_, raw_[i], token);
    }
  }
  // What makes the removal keys one long, token i's in lane i * kSumLanes.
  __device__ float Scales(ChunkShared<N, T>& shared, const Weights& weights, int first) const {
    float sums[2 * kBatch];
#pragma unroll
    for (int i = 0; i < kBatch; ++i) {
      const float2 part = stage_.template KeySums<N>(raw_[i], weights);
      sums[2 * i] = part.x, sums[2 * i + 1] = part.y;
    }
    const float sum = SpreadSum<2 * kBatch, kWarp>(sums);
    const int lane = threadIdx.x % kWarp;
    if (lane % kSumLanes == kSumLanes / 2) shared.bonus[Token(first + lane / kSumLanes)] = sum;
    return KeyScale(sum);
  }
  // Moves on by one token.
  __device__ static void Put(ChunkShared<N, T>& shared, int token, int p, const KeyVectors<N>& x,
                             float2& log, float2& factor) {
    const float2 log_next = kAhead ? make_float2(log.x + x.log_w[p].x, log.y + x.log_w[p].y)
                                   : make_float2(log.x - x.log_w[p].x, log.y - x.log_w[p].y);
    const float2 next = make_float2(FastExp2(log_next.x), FastExp2(log_next.y));
    const float2 log_now = kAhead ? log_next : log;
    const float2 now = kAhead ? next : factor, earlier = kAhead ? factor : next;
    const float2 inverse = make_float2(FastExp2(-log_now.x), FastExp2(-log_now.y));
    log = log_next, factor = next;
    using Matrix = typename ChunkShared<N, T>::Matrix;
    if (!KeyPairs<N>::Owned(p)) return;
    const int c = 2 * KeyPairs<N>::Pair(p);
    Matrix{shared.a}.StorePair(token, c, -x.q[p].x * earlier.x, -x.q[p].y * earlier.y);
    Matrix{shared.r}.StorePair(token, c, x.r[p].x * now.x, x.r[p].y * now.y);
    Matrix{shared.k}.StorePair(token, c, x.k[p].x * inverse.x, x.k[p].y * inverse.y);
    Matrix{shared.b}.StorePair(token, c, x.b[p].x * inverse.x, x.b[p].y * inverse.y);
  }

  const Stage& stage_;
  const Chunk& chunk_;
  const int head_, block_;
  Raw raw_[kBatch];
};

// The values: a thread's are eight channels of every 16th token.
template <int N, typename T, typename Stage>
class ValueRows {
 public:
  __device__ ValueRows(const Stage& stage, const Chunk& chunk, int head)
      : stage_(stage), chunk_(chunk), head_(head) {}

  __device__ void Load() {
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      if (Token(i) >= chunk_.rows) continue;
      raw_[i] = stage_.template LoadValues<kWidth>(chunk_.begin, Channel(), Token(i));
    }
  }
  __device__ void Fill(ChunkShared<N, T>& shared) const {
    const typename ChunkShared<N, T>::Matrix matrix = {shared.v};
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      float v[kWidth] = {};
      if (Token(i) < chunk_.rows) {
        stage_.MakeValues(raw_[i], v);
        stage_.template PublishValues<kWidth>(chunk_.begin + Token(i), Channel(), v);
      }
      uint4 packed = {PackPair<T>(v[0], v[1]), PackPair<T>(v[2], v[3]), PackPair<T>(v[4], v[5]),
                      PackPair<T>(v[6], v[7])};
      *reinterpret_cast<uint4*>(matrix.At(Token(i), Column())) = packed;
    }
  }

 private:
  static constexpr int kWidth = 8;
  __device__ static int Token(int i) { return i * 16 + threadIdx.x / (N / kWidth); }
  __device__ static int Column() { return threadIdx.x % (N / kWidth) * kWidth; }
  __device__ int64_t Channel() const { return static_cast<int64_t>(head_) * N + Column(); }

  const Stage& stage_;
  const Chunk& chunk_;
  const int head_;
  typename Stage::template RawValues<kWidth> raw_[kChunkBlocks];
};

// The decays between blocks, from those within.
template <int N, typename T>
__device__ inline void FillDecays(ChunkShared<N, T>& shared) {
  const int c = threadIdx.x % N;
  float middle[kChunkBlocks], sum = 0;
#pragma unroll
  for (int i = 0; i < kChunkBlocks; ++i) {
    middle[i] = sum + shared.behind[i][c];
    sum = middle[i] + shared.ahead[i][c];
  }
  if (threadIdx.x < N) {
#pragma unroll
    for (int i = 0; i < kChunkBlocks; ++i) {
      shared.start[i][c] = FastExp2(middle[i]);
      shared.tail[i][c] = Narrow<T>(FastExp2(sum - middle[i]));
    }
    shared.decay[c] = FastExp2(sum);
  } else {
#pragma unroll
    for (int i = 1; i < kChunkBlocks; ++i) {
#pragma unroll
      for (int j = 0; j < i; ++j) {
        shared.between[i * (i - 1) / 2 + j][c] = Narrow<T>(FastExp2(middle[i] - middle[j]));
      }
    }
  }
}

// K and B, which so far refer to the middles of their blocks, with the decay up to the chunk's end.
template <int N, typename T>
__device__ inline void ScaleToEnd(ChunkShared<N, T>& shared) {
  using Matrix = typename ChunkShared<N, T>::Matrix;
  const int row = threadIdx.x / (N / 8), column = threadIdx.x % (N / 8) * 8;
#pragma unroll
  for (int i = 0; i < kChunkBlocks; ++i) {
    const uint4 tail = *reinterpret_cast<const uint4*>(&shared.tail[i][column]);
    for (T* matrix : {shared.k, shared.b}) {
      uint4& x = *reinterpret_cast<uint4*>(Matrix{matrix}.At(i * 16 + row, column));
      x = make_uint4(MulPair<T>(x.x, tail.x), MulPair<T>(x.y, tail.y), MulPair<T>(x.z, tail.z),
                     MulPair<T>(x.w, tail.w));
    }
  }
}

}  // namespace skein::cuda
