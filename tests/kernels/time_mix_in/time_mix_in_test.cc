#include "kernels/time_mix_in/time_mix_in.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t width, att_width, w, a, v, g;  // v: 0 in layer 0
  std::vector<int32_t> lengths;
};

TimeMixInArgs Make(TestTensors& t, const Sizes& s) {
  TimeMixInArgs args;
  args.sequences = t.Sequences(s.lengths);
  const int64_t rows = args.sequences.rows();
  args.x = t.Random({rows, s.width}, -2.0f, 3.0f);
  args.norm_weight = t.Random({s.width});
  args.norm_bias = t.Random({s.width});
  for (auto& mix : args.mix) mix = t.Random({s.width}, 0.0f, 1.0f);
  args.receptance = t.Matrix(s.att_width, s.width, DType::kBF16);
  args.key = t.Matrix(s.att_width, s.width, DType::kF16);
  args.value = t.Matrix(s.att_width, s.width, DType::kF32);
  args.w1 = t.Matrix(s.w, s.width, DType::kBF16);
  args.a1 = t.Matrix(s.a, s.width, DType::kF32);
  args.g1 = t.Matrix(s.g, s.width, DType::kBF16);
  args.shift = t.State(args.sequences, s.width);
  args.normed = t.Output({rows, s.width});
  for (auto& mixed : args.mixed) mixed = t.Output({rows, s.width});
  for (auto* out : {&args.r, &args.k, &args.v}) *out = t.Output({rows, s.att_width});
  args.w_rank = t.Output({rows, s.w});
  args.a_rank = t.Output({rows, s.a});
  args.g_rank = t.Output({rows, s.g});
  if (s.v > 0) {
    args.v1 = t.Matrix(s.v, s.width, DType::kF16);
    args.v_rank = t.Output({rows, s.v});
  }
  return args;
}

Outputs Written(const TimeMixInArgs& args) {
  Outputs outputs = {args.r, args.k, args.v, args.w_rank, args.a_rank, args.g_rank};
  if (!args.v1.empty()) outputs.push_back(args.v_rank);
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    outputs.emplace_back(args.shift.slot(args.sequences.slots[s]), Shape{args.x.dim(1)});
  }
  return outputs;
}

TEST(TimeMixInTest, AgreesWithTheReferenceForOddSizes) {
  for (const Sizes& sizes :
       {Sizes{128, 128, 21, 27, 13, 45, {5, 1, 9}}, Sizes{40, 72, 3, 5, 0, 7, {1, 1, 1}},
        Sizes{33, 17, 1, 2, 4, 1, {20}}}) {
    SCOPED_TRACE(sizes.width);
    const std::function<TimeMixInArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, sizes);
    };
    ExpectNearReference<TimeMixInArgs>(make, TimeMixInCpu, TimeMixInRef, Written, 5e-6);
    ExpectSameBitsEverywhere<TimeMixInArgs>(make, TimeMixInCpu, Written);
    SKEIN_CUDA_ONLY(
        ExpectNearReferenceOnCuda<TimeMixInArgs>(make, TimeMixInCuda, TimeMixInRef, Written, 1e-5));
  }
}

#if SKEIN_CUDA
// One row per sequence and 16-bit weights, of sizes that one kernel does all of.
TimeMixInArgs MakeDecode(TestTensors& t, const Sizes& s) {
  TimeMixInArgs args = Make(t, s);
  for (WeightMatrix* weight : {&args.receptance, &args.key, &args.value}) {
    *weight = t.Matrix(s.att_width, s.width, DType::kF16);
  }
  args.w1 = t.Matrix(s.w, s.width, DType::kF16);
  args.a1 = t.Matrix(s.a, s.width, DType::kF16);
  args.g1 = t.Matrix(s.g, s.width, DType::kF16);
  args.shift = t.State(args.sequences, s.width + 1);  // records that are read 16 bytes at a time
  for (auto& mixed : args.mixed) mixed = t.OutputOperand({args.sequences.rows(), s.width});
  return args;
}

std::vector<int32_t> Ones(size_t count) { return std::vector<int32_t>(count, 1); }

TEST(TimeMixInTest, AgreesWithTheReferenceInADecodeOfFewRows) {
  for (const Sizes& sizes :
       {Sizes{256, 256, 21, 27, 13, 45, Ones(1)}, Sizes{1024, 1024, 32, 64, 0, 128, Ones(2)},
        Sizes{2560, 40, 3, 5, 7, 9, Ones(3)}, Sizes{512, 1500, 8, 8, 8, 8, Ones(4)},
        Sizes{40, 72, 8, 16, 0, 24, Ones(5)}, Sizes{1000, 264, 16, 8, 8, 8, Ones(9)},
        Sizes{2560, 40, 8, 8, 8, 8, Ones(33)}, Sizes{4096, 48, 8, 8, 8, 8, Ones(64)}}) {
    SCOPED_TRACE(sizes.width);
    const std::function<TimeMixInArgs(TestTensors&)> make = [&](TestTensors& t) {
      return MakeDecode(t, sizes);
    };
    ExpectNearReferenceOnCuda<TimeMixInArgs>(make, TimeMixInCuda, TimeMixInRef, Written, 2e-3,
                                             DType::kF16);
  }
}
#endif

TEST(TimeMixInTest, TheFirstRowOfASequenceIsMixedWithItsStateAndNoNeighbour) {
  ParallelFor threads(2);
  const Sizes sizes = {32, 32, 4, 4, 4, 4, {2, 3}};
  TestTensors tensors(1), changed_tensors(1);
  const TimeMixInArgs args = Make(tensors, sizes);
  const TimeMixInArgs changed = Make(changed_tensors, sizes);
  for (int64_t i = 0; i < 2 * 32; ++i) const_cast<float&>(changed.x[i]) += 1.0f + 0.1f * i;
  TimeMixInCpu(args, threads);
  TimeMixInCpu(changed, threads);
  EXPECT_FALSE(SameBits(Collect({args.r.Rows(0, 2)}), Collect({changed.r.Rows(0, 2)})));
  EXPECT_TRUE(SameBits(Collect({args.r.Rows(2, 3)}), Collect({changed.r.Rows(2, 3)})));
}

TEST(TimeMixInTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const TimeMixInArgs good = Make(tensors, {32, 32, 4, 4, 4, 4, {2}});
  EXPECT_TRUE(good.Validate().ok()) << good.Validate();
  TimeMixInArgs bad = good;
  bad.mix[3] = tensors.Random({31});
  EXPECT_EQ(bad.Validate().message(), "time_mix_in: mix: shape [31], expected [32]");
  bad = good;
  bad.w_rank = tensors.Output({2, 5});
  EXPECT_EQ(bad.Validate().message(),
            "time_mix_in: product: projection: y: shape [2, 5], expected [2, 4]");
  bad = good;
  bad.v1 = WeightMatrix();
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
}

}  // namespace
}  // namespace skein
