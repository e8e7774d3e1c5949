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

// Where states wait between two chunks of a sequence. Every warp of a block has its part of the
// state and finds its part of the one before: there is no other order between blocks.
//
// A block waits for one with a lower number. As the device starts blocks in the order of their
// numbers, that one has a place to run.
template <int N>
struct ChunkChain {
  static constexpr int kWarps = N / 16;
  static constexpr int kVectors = N / 8;  // of four floats, of a lane

  float4* states;      // [Places][heads][kWarps][kVectors][kWarp]
  uint32_t* counters;  // [Places][heads][kWarps]: chunks that are done; zero before and after
  int first_head, num_heads;

  // A sequence of several chunks has its place at half of its first one's number.
  static int64_t Places(int64_t chunks) { return chunks / 2; }
  static constexpr int64_t kHeadBytes = int64_t{N} * N * sizeof(float);

  __device__ int64_t Part(const Chunk& chunk) const {
    return (static_cast<int64_t>(chunk.first / 2) * num_heads + blockIdx.x) * kWarps +
           threadIdx.x / kWarp;
  }
  __device__ float4* State(int64_t part) const {
    return states + part * kVectors * kWarp + threadIdx.x % kWarp;
  }
  __device__ void AwaitTurn(int64_t part, uint32_t chunk) const {
    uint32_t done;
    do {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                   : "=r"(done)
                   : "l"(counters + part)
                   : "memory");
    } while (done < chunk);
    __syncwarp();
  }
  __device__ void PassTurn(int64_t part, uint32_t chunk) const {
    __syncwarp();
    if (threadIdx.x % kWarp == 0) {
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(counters + part), "r"(chunk + 1)
                   : "memory");
    }
  }
  __device__ void EndTurns(int64_t part) const {
    __syncwarp();
    if (threadIdx.x % kWarp == 0) counters[part] = 0;
  }
};

}  // namespace skein::cuda
