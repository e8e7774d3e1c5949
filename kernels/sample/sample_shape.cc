#include "kernels/sample/sample_shape.h"

#include <algorithm>

namespace skein {
namespace {

constexpr int64_t kWarps = 16;
constexpr int64_t kStride = 128;
constexpr int kMaxBlocks = 8;
// Logits that a block has room for in the shared memory of compute capability 9.0 and 10.0, and of
// the smaller chips after them.
constexpr int64_t kLargeSlice = 52 * 1024;
constexpr int64_t kSmallSlice = 20 * 1024;
// Slices below this leave a block too little to do.
constexpr int64_t kLeastSlice = 4096;

int64_t SliceOf(int blocks, int64_t vocab) { return MakeSampleShape(blocks, vocab).chunk * kWarps; }

}  // namespace

SampleShape MakeSampleShape(int blocks, int64_t vocab) {
  const int64_t warps = std::max(blocks, 1) * kWarps;
  const int64_t each = (vocab + warps - 1) / warps;
  return {blocks, (each + kStride - 1) / kStride * kStride};
}

SampleShape PickSampleShape(int64_t rows, int64_t vocab, const CudaContext& context) {
  if (context.compute_capability < 90) return MakeSampleShape(0, vocab);
  const bool large = context.compute_capability < 120;
  int blocks = 1;
  while (blocks < kMaxBlocks && SliceOf(blocks, vocab) > (large ? kLargeSlice : kSmallSlice)) {
    blocks *= 2;
  }
  if (SliceOf(blocks, vocab) > (large ? kLargeSlice : kSmallSlice)) {
    return MakeSampleShape(0, vocab);
  }
  while (blocks < kMaxBlocks && rows * blocks < 2 * context.sm_count &&
         SliceOf(2 * blocks, vocab) >= kLeastSlice) {
    blocks *= 2;
  }
  return MakeSampleShape(blocks, vocab);
}

}  // namespace skein
