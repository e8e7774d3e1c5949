// How the rows of several sequences, times the query heads of a key-value head, are cut into tiles
// for the blocks of a prefill.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/paged_attention/attention_call.h"
#include "kernels/paged_attention/tiles.cuh"

namespace skein::attention {

struct QueryTile {
  int sequence;         // negative: there is no such tile
  int row_begin, rows;  // of the sequence
  int position;         // of its first row
  int first;            // of the tile's (query, head) pairs
  int visible;          // tokens that the tile's last row sees
};

// A (query, head) pair.
struct QueryRow {
  int64_t at = -1;  // its first element in q and y; negative: there is no such pair
  int visible = 0;  // tokens that it sees
};

// Enough tiles for any cut of the rows into sequences.
inline int64_t MaxQueryTiles(const Call& call, int tile_rows) {
  return int64_t{call.rows} * call.group / tile_rows + std::min(call.sequences, call.rows / 2);
}

// Tile `index` of all: sequences in their order, in each the tiles that see most come first. By the
// whole block of kThreads.
template <int kThreads, int kTileRows>
__device__ inline QueryTile FindQueryTile(const Call& call, int index) {
  constexpr int kWarps = kThreads / kLanes;
  __shared__ int warp_sums[kWarps];
  __shared__ QueryTile found;
  const int lane = threadIdx.x % kLanes, warp = threadIdx.x / kLanes;
  const auto tiles_of = [&](int s) {
    const int rows = call.row_begin[s + 1] - call.row_begin[s];
    return call.slots[s] < 0 || rows < 2 ? 0 : (rows * call.group + kTileRows - 1) / kTileRows;
  };
  // Each thread counts the tiles of a range of sequences.
  const int share = (call.sequences + kThreads - 1) / kThreads;
  const int begin = min(static_cast<int>(threadIdx.x) * share, call.sequences);
  const int end = min(begin + share, call.sequences);
  int mine = 0;
  for (int s = begin; s < end; ++s) mine += tiles_of(s);
  int sum = mine;
#pragma unroll
  for (int step = 1; step < kLanes; step *= 2) {
    const int other = __shfl_up_sync(kAll, sum, step);
    if (lane >= step) sum += other;
  }
  if (lane == kLanes - 1) warp_sums[warp] = sum;
  if (threadIdx.x == 0) found.sequence = -1;
  __syncthreads();
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) sum += warp_sums[w];
  }
  int before = sum - mine;
  for (int s = begin; s < end && index >= before && index < sum; ++s) {
    const int tiles = tiles_of(s);
    if (index < before + tiles) {
      QueryTile tile;
      tile.sequence = s;
      tile.row_begin = call.row_begin[s];
      tile.rows = call.row_begin[s + 1] - tile.row_begin;
      tile.position = call.positions[tile.row_begin];
      tile.first = (before + tiles - 1 - index) * kTileRows;
      tile.visible =
          tile.position + 1 + min((tile.first + kTileRows - 1) / call.group, tile.rows - 1);
      found = tile;
      break;
    }
    before += tiles;
  }
  __syncthreads();
  return found;
}

__device__ inline QueryRow QueryRowAt(const Call& call, const QueryTile& tile, int kv_head,
                                      int pair) {
  const int query = pair / call.group, head = pair % call.group;
  QueryRow row;
  row.visible = tile.position + 1 + min(query, tile.rows - 1);
  if (query < tile.rows) {
    row.at = static_cast<int64_t>(tile.row_begin + query) * call.width +
             (static_cast<int64_t>(kv_head) * call.group + head) * call.head_dim;
  }
  return row;
}

}  // namespace skein::attention
