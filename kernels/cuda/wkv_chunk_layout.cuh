// Prompts go through the RWKV-7 recurrence in chunks of 64 tokens, in two kernels. This is what the
// first (wkv_chunk.cuh), which takes all chunks at once, hands to the second (wkv_scan.cuh), which
// walks along a sequence with the state.
//
// With S the state before a chunk, [value][key], and S' the one behind it:
//   S' = S diag(decay) + S transition^T + delta       y = y_local + readout S^T, transposed:
//   [value][token]
#pragma once

#include <cstdint>

#include "kernels/cuda/tile_mma.cuh"
#include "kernels/cuda/wkv_state.cuh"

namespace skein::cuda {

inline constexpr int kChunkTokens = 64;
inline constexpr int kChunkBlocks = kChunkTokens / 16;

// What a chunk of one head leaves. Matrices are tiles of 16 x 16, one behind the other, row by row
// of tiles, each as the lanes of a warp hold it: 16 bytes of lane 0, of lane 1, ...
template <int N, typename T>
struct ChunkResult {
  static constexpr int kKeyTiles = N / 16;
  struct StoredTile {
    uint4 lanes[kWarp];
  };

  StoredTile transition[kKeyTiles][kKeyTiles];  // [key after][key before]
  StoredTile readout[kChunkBlocks][kKeyTiles];  // [token][key]
  StoredTile delta[kKeyTiles][kKeyTiles];       // [value][key]
  StoredTile y_local[kKeyTiles][kChunkBlocks];  // [value][token]
  float decay[N];
  // For the output: the values of the tokens, and their bonus. The scan has no need of them.
  float bonus[kChunkTokens];
  T values[kChunkTokens][N];

  // Of all that stands before `bonus`.
  static constexpr int kScanBytes =
      2 * kKeyTiles * (kKeyTiles + kChunkBlocks) * sizeof(StoredTile) + N * sizeof(float);
};

__device__ inline void StoreTile(uint4* lanes, const Tile& tile) {
  lanes[threadIdx.x % kWarp] = make_uint4(tile.r[0], tile.r[1], tile.r[2], tile.r[3]);
}
__device__ inline Tile ReadTile(const uint4* lanes) {
  const uint4 x = lanes[threadIdx.x % kWarp];
  return {{x.x, x.y, x.z, x.w}};
}

// Which sequences go this way, and where their chunks stand in the workspace: one behind the other.
struct ChunkPlan {
  int min_rows;  // shorter sequences are left to wkv_tokens.cuh

  __device__ int Chunks(const WkvSequences& sequences, int s) const {
    if (s >= sequences.count || sequences.slots[s] < 0) return 0;
    const int rows = sequences.end(s) - sequences.begin(s);
    return rows < min_rows ? 0 : (rows + kChunkTokens - 1) / kChunkTokens;
  }
  // By a whole warp: the chunks of all sequences before `s`.
  __device__ int ChunksBefore(const WkvSequences& sequences, int s) const {
    int chunks = 0;
    for (int i = threadIdx.x % kWarp; i < s; i += kWarp) chunks += Chunks(sequences, i);
    return __reduce_add_sync(~0u, chunks);
  }
};

struct Chunk {
  int begin = 0;  // row
  int rows = 0;   // at most kChunkTokens; 0: there is no such chunk
};

// By a whole warp: chunk number `index`.
__device__ inline Chunk FindChunk(const ChunkPlan& plan, const WkvSequences& sequences, int index) {
  const int lane = threadIdx.x % kWarp;
  for (int first = 0; first < sequences.count; first += kWarp) {
    const int mine = plan.Chunks(sequences, first + lane);
    int upto = mine;
#pragma unroll
    for (int offset = 1; offset < kWarp; offset *= 2) {
      const int before = __shfl_up_sync(~0u, upto, offset);
      if (lane >= offset) upto += before;
    }
    const unsigned found = __ballot_sync(~0u, index < upto);
    if (found != 0) {
      const int owner = __ffs(found) - 1;
      const int chunk = index - __shfl_sync(~0u, upto - mine, owner);
      const int begin = sequences.begin(first + owner) + chunk * kChunkTokens;
      return {begin, min(kChunkTokens, sequences.end(first + owner) - begin)};
    }
    index -= __shfl_sync(~0u, upto, kWarp - 1);
  }
  return {};
}

}  // namespace skein::cuda
