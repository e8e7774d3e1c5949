// Attention on the GPU against the reference.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/kv_append/kv_append.h"
#include "kernels/paged_attention/paged_attention.h"
#include "tests/kernels/paged_attention/attention_case.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

using Make = std::function<PagedAttentionArgs(TestTensors&)>;

Outputs Written(const PagedAttentionArgs& args) { return {args.y}; }

// The queries, keys and values of the first sequence, of one row and 16-bit elements.
void CopyFirstSequence(const PagedAttentionArgs& from, const PagedAttentionArgs& to) {
  const int64_t n = from.pages.head_dim;
  std::copy_n(static_cast<const uint16_t*>(from.q.data()), from.q.dim(1),
              static_cast<uint16_t*>(const_cast<void*>(to.q.data())));
  for (int64_t token = 0; token <= from.positions[0]; ++token) {
    for (int64_t head = 0; head < from.pages.kv_heads; ++head) {
      const int64_t from_at = from.pages.Offset(0, token, head);
      const int64_t to_at = to.pages.Offset(0, token, head);
      std::copy_n(static_cast<const uint16_t*>(from.pages.keys) + from_at, n,
                  static_cast<uint16_t*>(to.pages.keys) + to_at);
      std::copy_n(static_cast<const uint16_t*>(from.pages.values) + from_at, n,
                  static_cast<uint16_t*>(to.pages.values) + to_at);
    }
  }
}

// Weights and results are rounded to the operand type; bf16 has 8 bits, fp16 11.
double Tolerance(DType operand) {
  return operand == DType::kF32 ? 3e-6 : operand == DType::kF16 ? 1.5e-3 : 1e-2;
}

std::vector<int32_t> Ones(size_t count) { return std::vector<int32_t>(count, 1); }

// As on a device without the instructions of compute capability 9.0.
absl::Status BelowHopper(const PagedAttentionArgs& args, CudaContext& context) {
  CudaContext below = context;
  below.compute_capability = 80;
  return PagedAttentionCuda(args, below);
}

void ExpectNear(const AttentionSizes& sizes, DType operand) {
  const Make make = [&](TestTensors& t) { return MakeAttention(t, sizes); };
  for (const auto cuda : {PagedAttentionCuda, BelowHopper}) {
    ExpectNearReferenceOnCuda<PagedAttentionArgs>(make, cuda, PagedAttentionRef, Written,
                                                  Tolerance(operand), operand);
    if (sizes.lengths == Ones(sizes.lengths.size())) break;  // decodes are the same
  }
}

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

// The rows' own keys and values come from the kernel just before.
struct AppendAndAttend {
  KvAppendArgs append;
  PagedAttentionArgs attend;
  absl::Status Validate() const {
    return append.Validate().ok() ? attend.Validate() : append.Validate();
  }
};

absl::Status RunOnCuda(const AppendAndAttend& args, CudaContext& context) {
  const absl::Status appended = KvAppendCuda(args.append, context);
  return appended.ok() ? PagedAttentionCuda(args.attend, context) : appended;
}

void RunReference(const AppendAndAttend& args) {
  ParallelFor threads(1);
  KvAppendCpu(args.append, threads);
  PagedAttentionRef(args.attend);
}

TEST(PagedAttentionCudaTest, SeesTheTokensThatWereJustAppended) {
  for (const int32_t length : {1, 70}) {
    const std::function<AppendAndAttend(TestTensors&)> make = [&](TestTensors& t) {
      AppendAndAttend args;
      args.attend = MakeAttention(
          t, {8, 2, 128, {0, 15, 16, 127, 128, 700}, std::vector<int32_t>(6, length), 16});
      const Shape narrow = {args.attend.q.dim(0), 2 * 128};
      args.append.q = t.RandomOperand(args.attend.q.shape());  // without norms not touched
      args.append.k = t.RandomOperand(narrow);
      args.append.v = t.RandomOperand(narrow);
      args.append.positions = args.attend.positions;
      args.append.sequences = args.attend.sequences;
      args.append.pages = args.attend.pages;
      return args;
    };
    const std::function<Outputs(const AppendAndAttend&)> written = [](const AppendAndAttend& args) {
      return Written(args.attend);
    };
    ExpectNearReferenceOnCuda<AppendAndAttend>(make, RunOnCuda, RunReference, written,
                                               Tolerance(DType::kBF16), DType::kBF16);
  }
}

TEST(PagedAttentionCudaTest, BatchInvariantRowsKeepTheirBitsForUpTo64Sequences) {
  if (!HasGpu()) return;
  std::vector<float> first;
  for (const size_t count : {1, 2, 64}) {
    std::vector<int32_t> seen(count, 33);
    seen[0] = 3000;
    TestTensors tensors(1, PinnedAllocate, DType::kBF16, DType::kBF16);
    const PagedAttentionArgs args = MakeAttention(tensors, {4, 1, 64, seen, Ones(count), 16});
    // The first row's queries, keys and values are the same whatever follows them in the drawing.
    TestTensors same(2, HostAllocate, DType::kBF16, DType::kBF16);
    CopyFirstSequence(MakeAttention(same, {4, 1, 64, {3000}, {1}, 16}), args);
    CudaContext context = TestCudaContext();
    context.batch_invariant = true;
    ASSERT_TRUE(PagedAttentionCuda(args, context).ok());
    ASSERT_TRUE(Synchronize().ok());
    std::vector<float> row = Collect({args.y});
    row.resize(args.y.dim(1));
    if (first.empty()) first = row;
    EXPECT_TRUE(SameBits(row, first)) << count;
  }
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
