#include "kernels/channel_mix_in/channel_mix_in.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

ChannelMixInArgs Make(TestTensors& t, int64_t width, int64_t ffn_width,
                      const std::vector<int32_t>& lengths) {
  ChannelMixInArgs args;
  args.sequences = t.Sequences(lengths);
  const int64_t rows = args.sequences.rows();
  args.x = t.Random({rows, width});
  for (auto* x : {&args.norm_weight, &args.norm_bias, &args.mix}) *x = t.Random({width});
  args.key = t.Matrix(ffn_width, width, DType::kBF16);
  args.shift = t.State(args.sequences, width);
  args.normed = t.Output({rows, width});
  args.mixed = t.Output({rows, width});
  args.h = t.Output({rows, ffn_width});
  return args;
}

Outputs Written(const ChannelMixInArgs& args) {
  Outputs outputs = {args.h};
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    outputs.emplace_back(args.shift.slot(args.sequences.slots[s]), Shape{args.x.dim(1)});
  }
  return outputs;
}

TEST(ChannelMixInTest, AgreesWithTheReferenceForOddSizes) {
  for (const int64_t width : {64, 33}) {
    const std::function<ChannelMixInArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, width, 101, {1, 14, 2});
    };
    ExpectNearReference<ChannelMixInArgs>(make, ChannelMixInCpu, ChannelMixInRef, Written, 5e-6);
    ExpectSameBitsEverywhere<ChannelMixInArgs>(make, ChannelMixInCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<ChannelMixInArgs>(make, ChannelMixInCuda,
                                                                ChannelMixInRef, Written, 1e-5));
  }
}

#if SKEIN_CUDA
TEST(ChannelMixInTest, AgreesWithTheReferenceInADecodeOfFewRows) {
  for (const std::vector<int32_t>& lengths :
       {std::vector<int32_t>{1}, {1, 1}, {1, 1, 1}, {1, 1, 1, 1}, std::vector<int32_t>(40, 1)}) {
    SCOPED_TRACE(lengths.size());
    const std::function<ChannelMixInArgs(TestTensors&)> make = [&](TestTensors& t) {
      ChannelMixInArgs args = Make(t, 1024, 2101, lengths);
      args.shift = t.State(args.sequences, 1024 + 1);  // records that are read 16 bytes at a time
      args.mixed = t.OutputOperand({args.sequences.rows(), 1024});
      return args;
    };
    ExpectNearReferenceOnCuda<ChannelMixInArgs>(make, ChannelMixInCuda, ChannelMixInRef, Written,
                                                2e-2, DType::kBF16);
  }
}
#endif

TEST(ChannelMixInTest, NegativeProductsBecomeExactZeros) {
  ParallelFor threads(2);
  TestTensors tensors(1);
  const ChannelMixInArgs args = Make(tensors, 64, 200, {3});
  ChannelMixInCpu(args, threads);
  const std::vector<float> h = Collect({args.h});
  const auto zeros = std::count(h.begin(), h.end(), 0.0f);
  EXPECT_GT(zeros, 100);
  EXPECT_LT(zeros, 500);
}

TEST(ChannelMixInTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  ChannelMixInArgs bad = Make(tensors, 16, 20, {2});
  EXPECT_TRUE(bad.Validate().ok()) << bad.Validate();
  bad.mix = tensors.Random({17});
  EXPECT_EQ(bad.Validate().message(), "channel_mix_in: mix: shape [17], expected [16]");
}

}  // namespace
}  // namespace skein
