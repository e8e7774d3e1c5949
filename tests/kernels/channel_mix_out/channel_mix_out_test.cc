#include "kernels/channel_mix_out/channel_mix_out.h"

#include "gtest/gtest.h"

#include "kernels/linear/linear.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

ChannelMixOutArgs Make(TestTensors& t) {
  ChannelMixOutArgs args;
  const TensorView<float> h = t.Random({5, 77}, -1.0f, 1.0f);
  for (int64_t i = 0; i < h.size(); ++i) h[i] = std::max(h[i], 0.0f);
  args.h = h;
  args.value = t.Matrix(30, 77, DType::kF16);
  args.product = t.Output({5, 30});
  args.residual = t.Random({5, 30});
  return args;
}

void Reference(const ChannelMixOutArgs& args) {
  ProjectRef({args.value, {}, Activation::kNone, args.h, args.product});
  for (int64_t i = 0; i < args.residual.size(); ++i) args.residual[i] += args.product[i];
}

Outputs Written(const ChannelMixOutArgs& args) { return {args.residual}; }

TEST(ChannelMixOutTest, AddsTheValueProductToTheResidual) {
  const std::function<ChannelMixOutArgs(TestTensors&)> make = Make;
  ExpectNearReference<ChannelMixOutArgs>(make, ChannelMixOutCpu, Reference, Written, 2e-6);
  ExpectSameBitsEverywhere<ChannelMixOutArgs>(make, ChannelMixOutCpu, Written);
  SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<ChannelMixOutArgs>(make, ChannelMixOutCuda, Reference,
                                                               Written, 2e-6));
}

TEST(ChannelMixOutTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  ChannelMixOutArgs bad = Make(tensors);
  bad.residual = tensors.Output({5, 31});
  EXPECT_EQ(bad.Validate().message(), "channel_mix_out: residual: shape [5, 31], expected [5, 30]");
}

}  // namespace
}  // namespace skein
