#include "kernels/paged_attention/paged_attention.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

#include "tests/kernels/paged_attention/attention_case.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

Outputs Written(const PagedAttentionArgs& args) { return {args.y}; }

TEST(PagedAttentionTest, AgreesWithTheReferenceForGroupsHeadSizesAndLengths) {
  for (const AttentionSizes& sizes :
       {AttentionSizes{4, 2, 64, {0, 200}, {5, 1}, 16},
        AttentionSizes{4, 1, 96, {63, 64, 65}, {1, 1, 1}, 16},
        AttentionSizes{2, 2, 128, {0}, {130}, 32}, AttentionSizes{6, 3, 10, {7}, {3}, 5},
        AttentionSizes{1, 1, 1, {0}, {1}, 1}}) {
    SCOPED_TRACE(sizes.n);
    const std::function<PagedAttentionArgs(TestTensors&)> make = [&](TestTensors& t) {
      return MakeAttention(t, sizes);
    };
    ExpectNearReference<PagedAttentionArgs>(make, PagedAttentionCpu, PagedAttentionRef, Written,
                                            3e-6);
    ExpectSameBitsEverywhere<PagedAttentionArgs>(make, PagedAttentionCpu, Written);
  }
}

TEST(PagedAttentionTest, PageSizeDoesNotChangeABit) {
  ParallelFor threads(2);
  std::vector<float> first;
  for (const int64_t page_tokens : {1, 7, 16, 64, 256}) {
    TestTensors tensors(1);
    const PagedAttentionArgs args =
        MakeAttention(tensors, {4, 2, 48, {100, 3}, {30, 1}, page_tokens});
    PagedAttentionCpu(args, threads);
    if (first.empty()) first = Collect({args.y});
    EXPECT_TRUE(SameBits(Collect({args.y}), first)) << page_tokens;
  }
}

TEST(PagedAttentionTest, ScoresFarApartStayFinite) {
  ParallelFor threads(1);
  TestTensors tensors(1);
  const PagedAttentionArgs args = MakeAttention(tensors, {1, 1, 16, {0}, {100}, 16});
  for (int64_t i = 0; i < args.q.size(); ++i) const_cast<float&>(args.q[i]) *= 1e4f;
  PagedAttentionCpu(args, threads);
  for (const float value : Collect({args.y})) ASSERT_TRUE(std::isfinite(value));
}

TEST(PagedAttentionTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const PagedAttentionArgs good = MakeAttention(tensors, {4, 2, 16, {0}, {3}, 16});
  EXPECT_TRUE(good.Validate().ok()) << good.Validate();
  PagedAttentionArgs bad = good;
  bad.q = tensors.Random({3, 48});  // three heads over two
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = good;
  bad.pages.table = TensorView<const int32_t>();
  EXPECT_EQ(bad.Validate().message(), "paged_attention: no pages");
  bad = good;
  bad.y = tensors.Output({2, 64});
  EXPECT_EQ(bad.Validate().message(), "paged_attention: y: shape [2, 64], expected [3, 64]");
}

}  // namespace
}  // namespace skein
