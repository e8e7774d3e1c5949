#include "kernels/sample/sample_shape.h"

#include <algorithm>

namespace skein {
namespace {

constexpr int64_t kStride = 128;
constexpr int kMaxBlocks = 8;
// Logits that a block has room for in the shared memory of compute capability 9.0 and 10.0.
constexpr int64_t kLargeSlice = 52 * 1024;
// The same on the smaller chips after them.
constexpr int64_t kSmallSlice = 20 * 1024;
// The largest that leaves room for two more blocks on a multiprocessor.
constexpr int64_t kSharedSlice = 16 * 1024;
// Slices below this leave a block too little to do.
constexpr int64_t kLeastSlice = 4096;

int64_t SliceOf(int blocks, int64_t vocab) {
  return MakeSampleShape(blocks, vocab).chunk * kSampleWarps;
}

}  // namespace

SampleShape MakeSampleShape(int blocks, int64_t vocab) {
  const int64_t warps = std::max(blocks, 1) * kSampleWarps;
  const int64_t each = (vocab + warps - 1) / warps;
  return {blocks, (each + kStride - 1) / kStride * kStride};
}

SampleShape PickSampleShape(int64_t rows, int64_t vocab, const CudaContext& context) {
  if (context.compute_capability < 90) return MakeSampleShape(0, vocab);
  const int64_t room = context.compute_capability < 120 ? kLargeSlice : kSmallSlice;
  int blocks = 1;
  while (blocks < kMaxBlocks && SliceOf(blocks, vocab) > room) blocks *= 2;
  if (SliceOf(blocks, vocab) > room) return MakeSampleShape(0, vocab);
  // Blocks that share a multiprocessor wait in turns. Larger clusters than that takes are worth
  // their longer waits only while much of the device would stay idle.
  while (blocks < kMaxBlocks && SliceOf(2 * blocks, vocab) >= kLeastSlice &&
         (SliceOf(blocks, vocab) > kSharedSlice || 4 * rows * blocks <= context.sm_count)) {
    blocks *= 2;
  }
  return MakeSampleShape(blocks, vocab);
}

}  // namespace skein
