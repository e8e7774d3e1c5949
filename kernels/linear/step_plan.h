// How a launch of products is cut over the blocks of the GPU.
//
// A problem is a grid of output tiles, and a tile is a number of equal steps along the inputs, each
// the same amount of weights. The steps of all tiles of all problems stand in one row, and every
// block takes an equal, contiguous share of them. Where a share ends inside a tile, its blocks
// leave partial sums, and the last of them to be ready adds them up in the order of the blocks. So
// the cut follows from the weights alone, never from the rows beside each other in a batch.
#pragma once

#include <cstdint>
#include <span>

namespace skein {

constexpr int kMaxStepBlocks = 160;

struct StepGroup {
  int64_t tiles = 0;
  int64_t steps = 0;  // of a tile
};

struct StepPlan {
  int blocks = 0;
  // Block b takes steps [begin[b], begin[b + 1]), which may be none.
  int32_t begin[kMaxStepBlocks + 1] = {};
};

// For up to min(max_blocks, kMaxStepBlocks) blocks. Tiles of few steps are never cut: adding the
// pieces would take longer than what the cut evens out.
StepPlan PlanSteps(std::span<const StepGroup> groups, int max_blocks);

}  // namespace skein
