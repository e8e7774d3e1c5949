// Prompts go through the RWKV-7 recurrence in chunks of 64 tokens (wkv_chunk.cuh). Which rows a
// chunk has, and how a sequence's state comes from one chunk to the next.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_state.cuh"

namespace skein::cuda {

inline constexpr int kChunkTokens = 64;
inline constexpr int kChunkBlocks = kChunkTokens / 16;

struct Chunk {
  int begin = 0;  // row
  int rows = 0;   // at most kChunkTokens; 0: there is no such chunk
  int sequence = 0;
  int index = 0;         // in its sequence
  int first = 0;         // number of the sequence's first chunk
  bool is_last = false;  // of its sequence
};

// Which sequences go this way: their chunks are numbered one behind the other.
struct ChunkPlan {
  int min_rows;  // shorter sequences are left to wkv_tokens.cuh

  // By a whole warp: chunk `number`.
  __device__ Chunk Find(const WkvSequences& sequences, int number) const {
    int index = number;
    for (int first = 0; first < sequences.count; first += kWarp) {
      const int lane = threadIdx.x % kWarp;
      const Rows rows = RowsOf(sequences, first + lane);
      const int count = rows.end - rows.begin;
      const int mine = count < min_rows ? 0 : (count + kChunkTokens - 1) / kChunkTokens;
      int upto = mine;
#pragma unroll
      for (int offset = 1; offset < kWarp; offset *= 2) {
        const int before = __shfl_up_sync(~0u, upto, offset);
        if (lane >= offset) upto += before;
      }
      const unsigned found = __ballot_sync(~0u, index < upto);
      if (found != 0) {
        const int owner = __ffs(found) - 1;
        index -= __shfl_sync(~0u, upto - mine, owner);
        const int begin = __shfl_sync(~0u, rows.begin, owner) + index * kChunkTokens;
        const int left = __shfl_sync(~0u, rows.end, owner) - begin;
        return {begin, min(kChunkTokens, left), first + owner,
                index, number - index,          left <= kChunkTokens};
      }
      index -= __shfl_sync(~0u, upto, kWarp - 1);
    }
    return {};
  }

 private:
  struct Rows {
    int begin = 0, end = 0;
  };
  __device__ static Rows RowsOf(const WkvSequences& sequences, int s) {
    if (s >= sequences.count) return {};
    const int slot = sequences.slots[s];
    const Rows rows = {sequences.begin(s), sequences.end(s)};
    return slot < 0 ? Rows() : rows;
  }
};

// Which chunk of which head a block has. Blocks lie in one row: clusters of `neighbours` chunks,
// one behind the other, of a head; then the other heads; then the next chunks.
struct ChunkPlace {
  int head, number;

  __device__ static ChunkPlace Mine(int heads, int neighbours) {
    const int cluster = blockIdx.x / neighbours;
    return {cluster % heads,
            cluster / heads * neighbours + static_cast<int>(blockIdx.x) % neighbours};
  }
};

}  // namespace skein::cuda
