#include "kernels/time_mix_wkv/time_mix_wkv.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t heads, n, rank;
  bool first_layer;
  std::vector<int32_t> lengths;
  DType weights = DType::kBF16;
  bool half_state = false;
};

TimeMixWkvArgs Make(TestTensors& t, const Sizes& s) {
  TimeMixWkvArgs args;
  args.sequences = t.Sequences(s.lengths);
  const int64_t rows = args.sequences.rows(), width = s.heads * s.n;
  for (auto* x : {&args.r, &args.k, &args.v}) *x = t.RandomOperand({rows, width});
  for (auto* x : {&args.w_rank, &args.a_rank, &args.g_rank}) *x = t.RandomOperand({rows, s.rank});
  for (auto* x : {&args.w2, &args.a2, &args.g2}) *x = t.Matrix(width, s.rank, s.weights);
  for (auto* x : {&args.w0, &args.a0}) *x = t.Random({width}, -4.0f, 4.0f);
  for (auto* x : {&args.k_k, &args.k_a, &args.norm_weight, &args.norm_bias}) *x = t.Random({width});
  args.r_k = t.Random({s.heads, s.n});
  args.positions = t.Positions(args.sequences);
  args.state = s.half_state ? t.RoundedState(args.sequences, width * s.n)
                            : t.State(args.sequences, width * s.n);
  for (auto* x : {&args.w, &args.a, &args.g, &args.y}) *x = t.OutputOperand({rows, width});
  args.v_first = s.first_layer ? t.OutputOperand({rows, width}) : t.RandomOperand({rows, width});
  if (s.first_layer) return args;
  args.v_rank = t.RandomOperand({rows, s.rank + 1});
  args.v2 = t.Matrix(width, s.rank + 1, s.weights);
  args.v0 = t.Random({width});
  args.v_mix = t.OutputOperand({rows, width});
  return args;
}

Outputs Written(const TimeMixWkvArgs& args) {
  Outputs outputs = {args.y, args.v_first};
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    outputs.push_back(
        SlotView(args.state, args.sequences.slots[s], args.r.dim(1) * args.r_k.dim(1)));
  }
  return outputs;
}

TEST(TimeMixWkvTest, AgreesWithTheReferenceInTheFirstAndInLaterLayers) {
  for (const Sizes& sizes : {Sizes{2, 64, 21, true, {5, 1}}, Sizes{2, 64, 21, false, {5, 1, 3}},
                             Sizes{3, 13, 7, false, {4}}, Sizes{1, 8, 1, true, {1, 1, 1}},
                             Sizes{1, 128, 5, false, {2}}}) {
    SCOPED_TRACE(sizes.n);
    const std::function<TimeMixWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, sizes);
    };
    // The group norm enlarges rounding errors where the values of a head are close to each other.
    ExpectNearReference<TimeMixWkvArgs>(make, TimeMixWkvCpu, TimeMixWkvRef, Written, 3e-5);
    ExpectSameBitsEverywhere<TimeMixWkvArgs>(make, TimeMixWkvCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<TimeMixWkvArgs>(make, TimeMixWkvCuda, TimeMixWkvRef,
                                                              Written, 5e-5));
  }
}

TEST(TimeMixWkvTest, FactorsOfASequenceScaleWhatTheRecurrenceGivesIt) {
  std::vector<float> factors(128);
  for (size_t c = 0; c < factors.size(); ++c) factors[c] = 0.5f + 0.01f * static_cast<float>(c);
  const std::vector<const float*> all = {nullptr, factors.data(), nullptr};
  const std::function<TimeMixWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
    TimeMixWkvArgs args = Make(t, {2, 64, 21, false, {5, 1, 3}});
    args.factors = all;
    return args;
  };
  ExpectNearReference<TimeMixWkvArgs>(make, TimeMixWkvCpu, TimeMixWkvRef, Written, 3e-5);
  ExpectSameBitsEverywhere<TimeMixWkvArgs>(make, TimeMixWkvCpu, Written);
  ParallelFor threads(1);
  TestTensors tensors(1), same(1);
  const TimeMixWkvArgs scaled = make(tensors), plain = Make(same, {2, 64, 21, false, {5, 1, 3}});
  TimeMixWkvCpu(scaled, threads);
  TimeMixWkvCpu(plain, threads);
  for (int64_t row = 0; row < 9; ++row) {
    const bool alike = SameBits(Collect({scaled.y.Rows(row, 1)}), Collect({plain.y.Rows(row, 1)}));
    EXPECT_EQ(alike, row != 5) << row;
  }
}

#if SKEIN_CUDA
// Operands of 16 bits: what is rounded on the way to y is rounded by 2^-9 (bf16) or 2^-12 (fp16) of
// its size; the group norm enlarges it.
TEST(TimeMixWkvTest, SixteenBitOperandsAndStatesAreNearTheReference) {
  for (const std::vector<int32_t>& lengths :
       {std::vector<int32_t>{1, 1, 1}, std::vector<int32_t>{1, 7, 16}}) {
    for (const bool first_layer : {true, false}) {
      for (const DType type : {DType::kF16, DType::kBF16}) {
        for (const bool half_state : {false, true}) {
          if (half_state && type == DType::kBF16) continue;
          const std::function<TimeMixWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
            return Make(t, {3, 64, 40, first_layer, lengths, type, half_state});
          };
          ExpectNearReferenceOnCuda<TimeMixWkvArgs>(make, TimeMixWkvCuda, TimeMixWkvRef, Written,
                                                    type == DType::kF16 ? 4e-3 : 3e-2, type);
        }
      }
    }
  }
}

// Products of fp16 operands over chunks of 64 tokens.
TEST(TimeMixWkvTest, PromptsInChunksAreNearTheReference) {
  for (const std::vector<int32_t>& lengths :
       {std::vector<int32_t>{17}, std::vector<int32_t>{1, 70, 16, 200}}) {
    for (const DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
      for (const bool half_state : {false, true}) {
        if (half_state && type != DType::kF16) continue;
        SCOPED_TRACE(DTypeName(type));
        const std::function<TimeMixWkvArgs(TestTensors&)> make = [&](TestTensors& t) {
          return Make(t, {3, 64, 40, half_state, lengths, type, half_state});
        };
        ExpectNearReferenceOnCuda<TimeMixWkvArgs>(make, TimeMixWkvCuda, TimeMixWkvRef, Written,
                                                  type == DType::kBF16 ? 5e-2 : 1e-2, type);
      }
    }
  }
}
#endif

TEST(TimeMixWkvTest, AZeroKeyGivesNoRemovalInsteadOfNan) {
  ParallelFor threads(1);
  TestTensors tensors(1);
  TimeMixWkvArgs args = Make(tensors, {1, 16, 3, true, {2}});
  const TensorView<float> zero = tensors.Random({2, 16}, 0.0f, 0.0f);
  args.k = zero;
  TimeMixWkvCpu(args, threads);
  for (const float value : Collect(Written(args))) ASSERT_TRUE(std::isfinite(value));
}

TEST(TimeMixWkvTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const TimeMixWkvArgs good = Make(tensors, {2, 16, 3, false, {2}});
  EXPECT_TRUE(good.Validate().ok()) << good.Validate();
  TimeMixWkvArgs bad = good;
  bad.k_a = tensors.Random({31});
  EXPECT_EQ(bad.Validate().message(), "time_mix_wkv: k_a: shape [31], expected [32]");
  bad = good;
  bad.v_mix = TensorView<float>();
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = good;
  bad.a2 = tensors.Matrix(31, 3, DType::kF32);
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
}

}  // namespace
}  // namespace skein
