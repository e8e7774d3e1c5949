// Attention on the GPU against the reference.
#include <algorithm>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/paged_attention/paged_attention.h"
#include "tests/kernels/paged_attention/attention_case.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

using Make = std::function<PagedAttentionArgs(TestTensors&)>;

Outputs Written(const PagedAttentionArgs& args) { return {args.y}; }

// Weights and results are rounded to the operand type; bf16 has 8 bits, fp16 11.
double Tolerance(DType operand) {
  return operand == DType::kF32 ? 3e-6 : operand == DType::kF16 ? 1.5e-3 : 1e-2;
}

void ExpectNear(const AttentionSizes& sizes, DType operand) {
  const Make make = [&](TestTensors& t) { return MakeAttention(t, sizes); };
  ExpectNearReferenceOnCuda<PagedAttentionArgs>(make, PagedAttentionCuda, PagedAttentionRef,
                                                Written, Tolerance(operand), operand);
}

std::vector<int32_t> Ones(size_t count) { return std::vector<int32_t>(count, 1); }

const std::vector<int32_t> kRagged = {0, 14, 15, 16, 62, 63, 64, 255, 256, 999};

TEST(PagedAttentionCudaTest, DecodesRaggedSequences) {
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    for (const int64_t page_tokens : {8, 16, 24, 32}) {
      SCOPED_TRACE(testing::Message() << DTypeName(operand) << " pages of " << page_tokens);
      ExpectNear({8, 2, 128, kRagged, Ones(kRagged.size()), page_tokens, true}, operand);
    }
  }
}

TEST(PagedAttentionCudaTest, DecodesAllGroupsAndHeadSizes) {
  for (const int64_t group : {1, 3, 8, 9, 16}) {
    for (const int64_t n : {64, 96, 128}) {
      SCOPED_TRACE(testing::Message() << "group " << group << ", head size " << n);
      ExpectNear({2 * group, 2, n, {5, 300, 700}, Ones(3), 16}, DType::kBF16);
    }
  }
}

TEST(PagedAttentionCudaTest, DecodesLongRowsInSplits) {
  ExpectNear({8, 8, 64, {9000, 3, 2047, 2048}, Ones(4), 32}, DType::kF16);
  ExpectNear({1, 1, 128, {17000}, {1}, 16}, DType::kBF16);
}

TEST(PagedAttentionCudaTest, PrefillsRaggedSequences) {
  const std::vector<int32_t> lengths = {1, 15, 16, 17, 63, 64, 65, 257, 1000};
  const std::vector<int32_t> none(lengths.size(), 0);
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    ExpectNear({4, 1, 128, none, lengths, 16}, operand);
    ExpectNear({3, 1, 64, none, lengths, 32}, operand);
    ExpectNear({2, 2, 96, none, lengths, 8}, operand);
  }
}

TEST(PagedAttentionCudaTest, PrefillsChunksBehindAPrefixBesideDecodes) {
  const std::vector<int32_t> seen = {100, 7, 64, 900, 63, 0, 511};
  const std::vector<int32_t> lengths = {30, 1, 64, 200, 2, 129, 1};
  for (const int64_t n : {64, 96, 128}) {
    SCOPED_TRACE(n);
    ExpectNear({8, 2, n, seen, lengths, 16}, DType::kBF16);
    ExpectNear({5, 1, n, seen, lengths, 24, true}, DType::kF16);
  }
}

TEST(PagedAttentionCudaTest, TakesOddSizesAndFloatPagesOnThePlainPath) {
  ExpectNear({6, 3, 10, {7, 0}, {3, 40}, 5}, DType::kF32);
  ExpectNear({4, 2, 128, {100, 300}, {1, 1}, 16}, DType::kF32);
  ExpectNear({4, 1, 40, {100, 0, 9}, {20, 1, 1}, 16}, DType::kBF16);
  ExpectNear({17, 1, 64, {70, 31}, {1, 2}, 16}, DType::kF16);
  ExpectNear({1, 1, 512, {33}, {2}, 7}, DType::kF16);
}

// What row `row` gives in these sequences.
std::vector<float> RowBits(const AttentionSizes& sizes, int64_t row, bool dependent_launch) {
  TestTensors tensors(1, PinnedAllocate, DType::kBF16, DType::kBF16);
  const PagedAttentionArgs args = MakeAttention(tensors, sizes);
  CudaContext context = TestCudaContext();
  context.dependent_launch = dependent_launch;
  EXPECT_TRUE(PagedAttentionCuda(args, context).ok());
  EXPECT_TRUE(Synchronize().ok());
  std::vector<float> all = Collect({args.y});
  const int64_t width = args.y.dim(1);
  return {all.begin() + row * width, all.begin() + (row + 1) * width};
}

TEST(PagedAttentionCudaTest, ARowKeepsItsBitsWhateverIsBesideIt) {
  if (!HasGpu()) return;
  // The first sequence's values are drawn alike where the shapes before it are; so it stays first
  // and its queries are drawn first.
  const AttentionSizes decode = {8, 2, 128, {700, 20, 3000}, {1, 1, 1}, 16};
  const std::vector<float> expected = RowBits(decode, 0, true);
  AttentionSizes other = decode;
  other.seen = {700, 2999, 21};
  EXPECT_TRUE(SameBits(RowBits(other, 0, true), expected));
  EXPECT_TRUE(SameBits(RowBits(other, 0, false), expected));
}

TEST(PagedAttentionCudaTest, SkipsSequencesWithoutASlot) {
  if (!HasGpu()) return;
  for (const int32_t length : {1, 70}) {
    const AttentionSizes sizes = {4, 1, 128, {40, 500, 300}, {length, length, length}, 16};
    TestTensors reference_tensors(1, HostAllocate, DType::kBF16);
    const PagedAttentionArgs reference = MakeAttention(reference_tensors, sizes);
    PagedAttentionRef(reference);
    TestTensors tensors(1, PinnedAllocate, DType::kBF16, DType::kBF16);
    PagedAttentionArgs args = MakeAttention(tensors, sizes);
    // The one in the middle is padding: no pages, position 0.
    const_cast<int32_t&>(args.sequences.slots[1]) = -1;
    for (int32_t i = 0; i < length; ++i) const_cast<int32_t&>(args.positions[length + i]) = 0;
    std::fill_n(const_cast<int32_t*>(args.pages.table.row(1)), args.pages.table.dim(1), -1);
    ASSERT_TRUE(PagedAttentionCuda(args, TestCudaContext()).ok());
    ASSERT_TRUE(Synchronize().ok());
    std::vector<float> found = Collect({args.y}), expected = Collect({reference.y});
    const int64_t skipped = length * args.y.dim(1);
    found.erase(found.begin() + skipped, found.begin() + 2 * skipped);
    expected.erase(expected.begin() + skipped, expected.begin() + 2 * skipped);
    EXPECT_LE(WorstError(found, expected), Tolerance(DType::kBF16));
  }
}

}  // namespace
}  // namespace skein
