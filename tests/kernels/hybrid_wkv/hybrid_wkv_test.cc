#include "kernels/hybrid_wkv/hybrid_wkv.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t heads, kv_heads, n, rank;
  bool first_layer, norms;
  std::vector<int32_t> lengths;
  DType weights = DType::kBF16;
};

HybridWkvArgs Make(TestTensors& t, const Sizes& s) {
  HybridWkvArgs args;
  args.sequences = t.Sequences(s.lengths);
  const int64_t rows = args.sequences.rows();
  const int64_t wide = s.heads * s.n, narrow = s.kv_heads * s.n;
  args.r = t.RandomOperand({rows, wide});
  for (auto* x : {&args.k, &args.v}) *x = t.RandomOperand({rows, narrow});
  for (auto* x : {&args.w_rank, &args.a_rank, &args.g_rank}) *x = t.RandomOperand({rows, s.rank});
  for (auto* x : {&args.w2, &args.a2, &args.g2}) *x = t.Matrix(wide, s.rank, s.weights);
  for (auto* x : {&args.w0, &args.a0}) *x = t.Random({wide}, -4.0f, 4.0f);
  if (s.norms) {
    args.r_norm = t.Random({s.n});
    args.k_norm = t.Random({s.n});
  }
  args.r_k = t.Random({s.heads, s.n});
  args.cosines = t.Random({rows, s.n / 2});
  args.sines = t.Random({rows, s.n / 2});
  args.positions = t.Positions(args.sequences);
  args.state = t.State(args.sequences, wide * s.n);
  for (auto* x : {&args.u, &args.a, &args.g, &args.y}) *x = t.OutputOperand({rows, wide});
  for (auto* x : {&args.k_first, &args.v_first}) {
    *x = s.first_layer ? t.OutputOperand({rows, narrow}) : t.RandomOperand({rows, narrow});
  }
  if (s.first_layer) return args;
  for (auto* x : {&args.k_rank, &args.v_rank}) *x = t.RandomOperand({rows, s.rank + 2});
  for (auto* x : {&args.k2, &args.v2}) *x = t.Matrix(narrow, s.rank + 2, s.weights);
  for (auto* x : {&args.k0, &args.v0}) *x = t.Random({narrow});
  for (auto* x : {&args.k_mix, &args.v_mix}) *x = t.OutputOperand({rows, narrow});
  return args;
}

Outputs Written(const HybridWkvArgs& args) {
  Outputs outputs = {args.y, args.k_first, args.v_first};
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    outputs.emplace_back(args.state.slot(args.sequences.slots[s]),
                         Shape{args.r.dim(1) * args.r_k.dim(1)});
  }
  return outputs;
}

TEST(HybridWkvTest, AgreesWithTheReferenceForHeadSizesGroupsAndNorms) {
  for (const Sizes& sizes :
       {Sizes{4, 2, 64, 24, true, true, {5, 1}}, Sizes{4, 2, 64, 24, false, true, {3, 2}},
        Sizes{4, 1, 96, 33, false, false, {4}}, Sizes{2, 2, 128, 5, true, false, {2, 1, 1}},
        Sizes{6, 3, 10, 3, false, true, {9}}, Sizes{1, 1, 8, 1, true, true, {1}}}) {
    SCOPED_TRACE(sizes.n);
    const std::function<HybridWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, sizes);
    };
    ExpectNearReference<HybridWkvArgs>(make, HybridWkvCpu, HybridWkvRef, Written, 3e-6);
    ExpectSameBitsEverywhere<HybridWkvArgs>(make, HybridWkvCpu, Written);
  }
}

TEST(HybridWkvTest, FactorsOfASequenceScaleWhatTheRecurrenceGivesIt) {
  std::vector<float> factors(256);
  for (size_t c = 0; c < factors.size(); ++c) factors[c] = 0.5f + 0.01f * static_cast<float>(c);
  const std::vector<const float*> all = {nullptr, factors.data(), nullptr};
  const std::function<HybridWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
    HybridWkvArgs args = Make(t, {4, 2, 64, 24, false, true, {5, 1, 3}});
    args.factors = all;
    return args;
  };
  ExpectNearReference<HybridWkvArgs>(make, HybridWkvCpu, HybridWkvRef, Written, 3e-6);
  ExpectSameBitsEverywhere<HybridWkvArgs>(make, HybridWkvCpu, Written);
  ParallelFor threads(1);
  TestTensors tensors(1), same(1);
  const HybridWkvArgs scaled = make(tensors),
                      plain = Make(same, {4, 2, 64, 24, false, true, {5, 1, 3}});
  HybridWkvCpu(scaled, threads);
  HybridWkvCpu(plain, threads);
  for (int64_t row = 0; row < 9; ++row) {
    const bool alike = SameBits(Collect({scaled.y.Rows(row, 1)}), Collect({plain.y.Rows(row, 1)}));
    EXPECT_EQ(alike, row != 5) << row;
  }
}

#if SKEIN_CUDA
std::function<HybridWkvArgs(TestTensors&)> Maker(const Sizes& sizes) {
  return [sizes](TestTensors& t) { return Make(t, sizes); };
}

TEST(HybridWkvTest, OnCudaAgreesWithTheReferenceForHeadSizesGroupsAndNorms) {
  for (const Sizes& sizes :
       {Sizes{4, 2, 64, 24, true, true, {5, 1}}, Sizes{4, 2, 64, 24, false, true, {1, 1, 1}},
        Sizes{4, 1, 96, 33, false, false, {4}}, Sizes{6, 2, 96, 33, true, true, {1, 2}},
        Sizes{2, 2, 128, 5, true, false, {2, 1, 1}}, Sizes{4, 1, 128, 40, false, true, {16, 1}}}) {
    SCOPED_TRACE(sizes.n);
    ExpectNearReferenceOnCuda<HybridWkvArgs>(Maker(sizes), HybridWkvCuda, HybridWkvRef, Written,
                                             1e-5);
  }
}

// Prompts go in chunks, with products of fp16 operands.
TEST(HybridWkvTest, PromptsInChunksAreNearTheReference) {
  for (const int64_t n : {64, 96, 128}) {
    for (const std::vector<int32_t>& lengths : {std::vector<int32_t>{17}, std::vector<int32_t>{64},
                                                std::vector<int32_t>{65, 1, 129, 16}}) {
      for (const bool first_layer : {true, false}) {
        SCOPED_TRACE(testing::Message() << n << ", " << lengths[0] << ", first " << first_layer);
        ExpectNearReferenceOnCuda<HybridWkvArgs>(
            Maker({4, 2, n, 24, first_layer, n != 96, lengths}), HybridWkvCuda, HybridWkvRef,
            Written, 2e-3);
      }
    }
  }
}

// What the products leave is rounded by 2^-9 (bf16) or 2^-12 (fp16) of its size, and so are the
// operands of chunks.
TEST(HybridWkvTest, SixteenBitOperandsAreNearTheReference) {
  for (const int64_t n : {64, 96, 128}) {
    for (const std::vector<int32_t>& lengths :
         {std::vector<int32_t>{1, 1, 1}, std::vector<int32_t>{90, 3}}) {
      for (const DType type : {DType::kF16, DType::kBF16}) {
        for (const bool first_layer : {true, false}) {
          SCOPED_TRACE(testing::Message() << n << ", " << lengths[0] << " " << DTypeName(type));
          ExpectNearReferenceOnCuda<HybridWkvArgs>(
              Maker({4, 2, n, 24, first_layer, true, lengths, type}), HybridWkvCuda, HybridWkvRef,
              Written, type == DType::kF16 ? 3e-3 : 2e-2, type);
        }
      }
    }
  }
}

TEST(HybridWkvTest, OnCudaPaddingIsLeftAloneAndOtherHeadSizesAreRefused) {
  if (!HasGpu()) return;
  TestTensors tensors(1, PinnedAllocate);
  const HybridWkvArgs args = Make(tensors, {2, 1, 128, 5, false, true, {1, 1, 1}});
  const int32_t slot = args.sequences.slots[1];
  const_cast<int32_t&>(args.sequences.slots[1]) = -1;
  const int64_t elements = 2 * 128 * 128;
  const std::vector<float> before = Collect({SlotView(args.state, slot, elements)});
  ASSERT_TRUE(HybridWkvCuda(args, TestCudaContext()).ok());
  ASSERT_TRUE(Synchronize().ok());
  EXPECT_TRUE(SameBits(Collect({SlotView(args.state, slot, elements)}), before));
  const HybridWkvArgs odd = Make(tensors, {2, 1, 10, 5, false, true, {1}});
  EXPECT_TRUE(absl::IsInvalidArgument(HybridWkvCuda(odd, TestCudaContext())));
}
#endif

TEST(HybridWkvTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const HybridWkvArgs good = Make(tensors, {4, 2, 16, 3, false, true, {2}});
  EXPECT_TRUE(good.Validate().ok()) << good.Validate();
  HybridWkvArgs bad = good;
  bad.k_norm = TensorView<const float>();
  EXPECT_EQ(bad.Validate().message(), "hybrid_wkv: r_norm and k_norm come together");
  bad = good;
  bad.r_k = tensors.Random({4, 15});
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = good;
  bad.k = tensors.Random({2, 48});  // three heads do not divide four
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = good;
  bad.cosines = tensors.Random({2, 7});
  EXPECT_EQ(bad.Validate().message(), "hybrid_wkv: cosines: shape [2, 7], expected [2, 8]");
}

}  // namespace
}  // namespace skein
