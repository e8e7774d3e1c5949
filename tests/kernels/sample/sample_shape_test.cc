#include "kernels/sample/sample_shape.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "kernels/sample/weight.h"

namespace skein {
namespace {

TEST(SampleShapeTest, ASliceHoldsItsPartOfTheVocabulary) {
  for (const int64_t vocab : {1, 97, 1000, 50277, 65536, 151936, 262144}) {
    for (const int blocks : {0, 1, 2, 4, 8}) {
      const SampleShape shape = MakeSampleShape(blocks, vocab);
      EXPECT_EQ(shape.chunk % 128, 0);
      EXPECT_GE(shape.chunk * kSampleWarps * std::max(blocks, 1), vocab);
    }
  }
}

TEST(SampleShapeTest, SmallBatchesSpreadARowOverMoreBlocks) {
  const CudaContext hopper = {.sm_count = 132, .compute_capability = 90};
  EXPECT_EQ(PickSampleShape(1, 65536, hopper).blocks, 8);
  EXPECT_LT(PickSampleShape(512, 65536, hopper).blocks, 8);
  EXPECT_EQ(PickSampleShape(1, 97, hopper).blocks, 1);
  for (const int64_t rows : {1, 64, 4096}) {
    EXPECT_LE(PickSampleShape(rows, kMaxSampleVocab, hopper).chunk * kSampleWarps * sizeof(float),
              208 << 10);
  }
}

TEST(SampleShapeTest, WithoutClustersLogitsLieInTheWorkspace) {
  EXPECT_EQ(PickSampleShape(1, 65536, {.compute_capability = 89}).blocks, 0);
}

}  // namespace
}  // namespace skein
