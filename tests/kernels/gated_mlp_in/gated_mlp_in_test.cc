#include "kernels/gated_mlp_in/gated_mlp_in.h"

#include <utility>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

GatedMlpInArgs Make(TestTensors& t, int64_t rows) {
  GatedMlpInArgs args;
  args.x = t.Random({rows, 70});
  args.norm_weight = t.Random({70}, 1.0f, 4.0f);
  args.gate = t.Matrix(99, 70, DType::kBF16);
  args.up = t.Matrix(99, 70, DType::kF32);
  args.normed = t.Output({rows, 70});
  args.gated = t.Output({rows, 99});
  args.h = t.Output({rows, 99});
  return args;
}

// Operands in the type of the weights; gates of small steps in fp32.
GatedMlpInArgs MakeNarrow(TestTensors& t, int64_t rows, int64_t width, int64_t ffn_width,
                          DType dtype) {
  GatedMlpInArgs args;
  args.x = t.Random({rows, width});
  args.norm_weight = t.Random({width}, 1.0f, 4.0f);
  args.gate = t.Matrix(ffn_width, width, dtype);
  args.up = t.Matrix(ffn_width, width, dtype);
  args.normed = t.OutputOperand({rows, width});
  args.gated =
      rows <= 64 ? ActivationView(t.Output({rows, ffn_width})) : t.OutputOperand({rows, ffn_width});
  args.h = t.OutputOperand({rows, ffn_width});
  return args;
}

Outputs Written(const GatedMlpInArgs& args) { return {args.h}; }

TEST(GatedMlpInTest, AgreesWithTheReference) {
  for (const int64_t rows : {1, 3, 17}) {
    const std::function<GatedMlpInArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, rows);
    };
    ExpectNearReference<GatedMlpInArgs>(make, GatedMlpInCpu, GatedMlpInRef, Written, 3e-6);
    ExpectSameBitsEverywhere<GatedMlpInArgs>(make, GatedMlpInCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<GatedMlpInArgs>(make, GatedMlpInCuda, GatedMlpInRef,
                                                              Written, 3e-6));
  }
}

TEST(GatedMlpInTest, OnCudaAgreesWithTheReferenceForOperandsOf16Bits) {
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    for (const auto& [width, ffn_width] :
         {std::pair<int64_t, int64_t>{64, 352}, {64, 99}, {2560, 331}}) {
      for (const int64_t rows : {1, 3, 17, 64, 65}) {
        SCOPED_TRACE(testing::Message() << DTypeName(operand) << " " << rows << " x " << ffn_width);
        const std::function<GatedMlpInArgs(TestTensors&)> make = [&](TestTensors& t) {
          return MakeNarrow(t, rows, width, ffn_width, operand);
        };
        SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<GatedMlpInArgs>(
            make, GatedMlpInCuda, GatedMlpInRef, Written, operand == DType::kF16 ? 2e-3 : 1.5e-2,
            operand));
      }
    }
  }
}

TEST(GatedMlpInTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  GatedMlpInArgs bad = Make(tensors, 2);
  bad.gated = tensors.Output({2, 98});
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = Make(tensors, 2);
  bad.up = tensors.Matrix(98, 70, DType::kF32);
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
}

}  // namespace
}  // namespace skein
