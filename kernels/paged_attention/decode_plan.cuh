// How the rows of a decode step are cut into items for its blocks.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {

inline constexpr int kUnitTokens = 128;       // splits are multiples of it
inline constexpr int kMaxSplits = 64;         // of a row
inline constexpr int kMaxSplitTokens = 2048;  // unless a row has more than kMaxSplits of them

// A row's tokens are cut into equal splits; how many depends on the row's length and on sizes that
// the host knows, not on the other rows.
struct Splitting {
  int wanted = 1;      // splits of a row, so that the step's items fill the machine
  int max_splits = 1;  // that the workspace has room for

  __host__ __device__ int SplitTokens(int tokens) const {
    const int units = (tokens + kUnitTokens - 1) / kUnitTokens;
    const int at_least = (units + max_splits - 1) / max_splits;
    const int even = min((units + wanted - 1) / wanted, kMaxSplitTokens / kUnitTokens);
    return kUnitTokens * max(max(even, at_least), 1);
  }
  __host__ __device__ int Splits(int tokens) const {
    const int size = SplitTokens(tokens);
    return (tokens + size - 1) / size;
  }

 private:
  __host__ __device__ static int min(int a, int b) { return a < b ? a : b; }
  __host__ __device__ static int max(int a, int b) { return a > b ? a : b; }
};

// A split of a row for one key-value head.
struct Item {
  int sequence = 0, kv_head = 0;
  int split = 0, splits = 0;
  int first = 0;           // the row's first split among all splits of the step
  int begin = 0, end = 0;  // tokens
};

// Where each sequence's splits begin, in shared memory.
template <int kThreads>
struct Plan {
  int* first = nullptr;   // [sequences + 1]
  int* tokens = nullptr;  // [sequences], 0 where there is nothing to do
  Splitting splitting;

  static size_t Bytes(int sequences) { return (2 * sequences + 1) * sizeof(int); }

  // By the whole block. Returns the number of splits.
  __device__ int Make(const Call& call) {
    constexpr int kWarps = kThreads / kLanes;
    __shared__ int warp_sums[kWarps];
    const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
    int before = 0;
    for (int base = 0; base < call.sequences; base += kThreads) {
      const int s = base + static_cast<int>(threadIdx.x);
      const int length = s < call.sequences ? Length(call, s) : 0;
      int sum = splitting.Splits(length);
#pragma unroll
      for (int step = 1; step < kLanes; step *= 2) {
        const int other = __shfl_up_sync(kAll, sum, step);
        if (lane >= step) sum += other;
      }
      if (lane == kLanes - 1) warp_sums[warp] = sum;
      __syncthreads();
      int total = 0;
#pragma unroll
      for (int w = 0; w < kWarps; ++w) {
        if (w < warp) sum += warp_sums[w];
        total += warp_sums[w];
      }
      if (s < call.sequences) {
        first[s + 1] = before + sum;
        tokens[s] = length;
      }
      before += total;
      __syncthreads();
    }
    if (threadIdx.x == 0) first[0] = 0;
    __syncthreads();
    return before;
  }

  // The heads of a split are neighbours.
  __device__ Item Find(const Call& call, int index) const {
    const int split = index / call.kv_heads;
    int low = 0, high = call.sequences - 1;
    while (low < high) {
      const int middle = (low + high + 1) / 2;
      if (first[middle] <= split) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    Item item;
    item.sequence = low;
    item.kv_head = index % call.kv_heads;
    item.first = first[low];
    item.split = split - item.first;
    item.splits = first[low + 1] - item.first;
    const int size = splitting.SplitTokens(tokens[low]);
    item.begin = item.split * size;
    item.end = min(item.begin + size, tokens[low]);
    return item;
  }

 private:
  // Tokens that a sequence with a single row sees.
  __device__ static int Length(const Call& call, int s) {
    const bool decode = call.max_rows == 1;
    const int row = decode ? s : call.row_begin[s];
    const bool single = decode || call.row_begin[s + 1] - row == 1;
    const int position = call.positions[row];
    return call.slots[s] >= 0 && single ? position + 1 : 0;
  }
};

}  // namespace skein::attention
