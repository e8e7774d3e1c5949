// Attention, and the append that fills its pages.
#include "kernels/paged_attention/paged_attention.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/cpu/reference.h"
#include "kernels/kv_append/kv_append.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t heads, kv_heads, n;
  std::vector<int32_t> seen, lengths;  // tokens before the step, and rows in it, per sequence
  int64_t page_tokens;
};

// Pages scattered over the pool; memory that no token uses is NaN.
KvPages Pages(TestTensors& t, const Sizes& s) {
  int64_t most = 0;
  for (size_t i = 0; i < s.seen.size(); ++i) {
    most = std::max<int64_t>(most, s.seen[i] + s.lengths[i]);
  }
  const int64_t per_sequence = (most + s.page_tokens - 1) / s.page_tokens;
  const int64_t sequences = static_cast<int64_t>(s.seen.size());
  KvPages pages;
  pages.num_pages = per_sequence * sequences + 1;
  pages.page_tokens = s.page_tokens;
  pages.kv_heads = s.kv_heads;
  pages.head_dim = s.n;
  pages.keys = t.Output({pages.num_pages, pages.page_elements()}).data();
  pages.values = t.Output({pages.num_pages, pages.page_elements()}).data();
  std::vector<int32_t> table;
  for (int64_t i = 0; i < sequences; ++i) {
    for (int64_t j = 0; j < per_sequence; ++j) {
      table.push_back(static_cast<int32_t>((per_sequence - 1 - j) * sequences + i + 1));
    }
  }
  pages.table = TensorView<const int32_t>(t.Ints(table).data(), {sequences, per_sequence});
  return pages;
}

PagedAttentionArgs Make(TestTensors& t, const Sizes& s) {
  PagedAttentionArgs args;
  args.sequences = t.Sequences(s.lengths);
  const int64_t rows = args.sequences.rows();
  args.q = t.Random({rows, s.heads * s.n}, -3.0f, 3.0f);
  args.y = t.Output({rows, s.heads * s.n});
  std::vector<int32_t> positions;
  for (size_t i = 0; i < s.seen.size(); ++i) {
    for (int32_t j = 0; j < s.lengths[i]; ++j) positions.push_back(s.seen[i] + j);
  }
  args.positions = t.Ints(positions);
  args.pages = Pages(t, s);
  for (size_t i = 0; i < s.seen.size(); ++i) {
    const int64_t tokens = s.seen[i] + s.lengths[i];
    const TensorView<float> k = t.Random({tokens, s.kv_heads, s.n}, -2.0f, 2.0f);
    const TensorView<float> v = t.Random({tokens, s.kv_heads, s.n});
    for (int64_t token = 0; token < tokens; ++token) {
      for (int64_t h = 0; h < s.kv_heads; ++h) {
        const int64_t at = args.pages.Offset(static_cast<int64_t>(i), token, h);
        std::copy_n(k.row(token) + h * s.n, s.n, args.pages.key_floats() + at);
        std::copy_n(v.row(token) + h * s.n, s.n, args.pages.value_floats() + at);
      }
    }
  }
  return args;
}

Outputs Written(const PagedAttentionArgs& args) { return {args.y}; }

TEST(PagedAttentionTest, AgreesWithTheReferenceForGroupsHeadSizesAndLengths) {
  for (const Sizes& sizes :
       {Sizes{4, 2, 64, {0, 200}, {5, 1}, 16}, Sizes{4, 1, 96, {63, 64, 65}, {1, 1, 1}, 16},
        Sizes{2, 2, 128, {0}, {130}, 32}, Sizes{6, 3, 10, {7}, {3}, 5},
        Sizes{1, 1, 1, {0}, {1}, 1}}) {
    SCOPED_TRACE(sizes.n);
    const std::function<PagedAttentionArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, sizes);
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
    const PagedAttentionArgs args = Make(tensors, {4, 2, 48, {100, 3}, {30, 1}, page_tokens});
    PagedAttentionCpu(args, threads);
    if (first.empty()) first = Collect({args.y});
    EXPECT_TRUE(SameBits(Collect({args.y}), first)) << page_tokens;
  }
}

TEST(PagedAttentionTest, ScoresFarApartStayFinite) {
  ParallelFor threads(1);
  TestTensors tensors(1);
  const PagedAttentionArgs args = Make(tensors, {1, 1, 16, {0}, {100}, 16});
  for (int64_t i = 0; i < args.q.size(); ++i) const_cast<float&>(args.q[i]) *= 1e4f;
  PagedAttentionCpu(args, threads);
  for (const float value : Collect({args.y})) ASSERT_TRUE(std::isfinite(value));
}

TEST(KvAppendTest, PutsNormedKeysAndPlainValuesAtTheirPositions) {
  const Sizes sizes = {4, 2, 20, {3, 17}, {2, 1}, 4};
  for (const bool norms : {false, true}) {
    TestTensors t(1);
    ParallelFor threads(2);
    KvAppendArgs args;
    args.sequences = t.Sequences(sizes.lengths);
    args.q = t.Random({3, 80});
    args.k = t.Random({3, 40});
    args.v = t.Random({3, 40});
    if (norms) {
      args.q_norm = t.Random({20});
      args.k_norm = t.Random({20});
    }
    args.positions = t.Ints({3, 4, 17});
    args.pages = Pages(t, sizes);
    std::vector<float> q = Collect({args.q});
    ASSERT_TRUE(args.Validate().ok()) << args.Validate();
    KvAppendCpu(args, threads);
    for (int64_t row = 0; row < 3; ++row) {
      for (int64_t h = 0; h < 2; ++h) {
        const int64_t at = args.pages.Offset(row / 2, args.positions[row], h);
        std::vector<float> key(args.k.row(row) + h * 20, args.k.row(row) + h * 20 + 20);
        if (norms) RmsNormRef(key.data(), args.k_norm.data(), 1e-6, 20, key.data());
        const std::vector<float> found(args.pages.key_floats() + at,
                                       args.pages.key_floats() + at + 20);
        EXPECT_LE(WorstError(found, key), norms ? 1e-6 : 0.0);
        EXPECT_TRUE(std::equal(args.v.row(row) + h * 20, args.v.row(row) + h * 20 + 20,
                               args.pages.value_floats() + at));
      }
      for (int64_t h = 0; h < 4 && norms; ++h) {
        float* head = q.data() + row * 80 + h * 20;
        RmsNormRef(head, args.q_norm.data(), 1e-6, 20, head);
      }
    }
    EXPECT_LE(WorstError(Collect({args.q}), q), norms ? 1e-6 : 0.0);
  }
}

TEST(PagedAttentionTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const PagedAttentionArgs good = Make(tensors, {4, 2, 16, {0}, {3}, 16});
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
