#include "kernels/rms_project/rms_project.h"

#include <optional>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

// Weights of all types, or of one.
RmsProjectArgs Make(TestTensors& t, int64_t rows, int64_t width,
                    std::optional<DType> weights = std::nullopt) {
  RmsProjectArgs args;
  args.x = t.Random({rows, width}, -5.0f, 9.0f);
  args.norm_weight = t.Random({width});
  args.normed = t.OutputOperand({rows, width});
  const auto matrix = [&](int64_t outputs, DType dtype) {
    return t.Matrix(outputs, width, weights.value_or(dtype));
  };
  args.outputs = {
      {matrix(48, DType::kBF16), t.Random({48}), Activation::kNone, t.Output({rows, 48})},
      {matrix(7, DType::kF32), {}, Activation::kTanh, t.OutputOperand({rows, 7})},
      {matrix(25, DType::kF16), {}, Activation::kSigmoid, t.OutputOperand({rows, 25})}};
  return args;
}

Outputs Written(const RmsProjectArgs& args) {
  Outputs outputs;
  for (const auto& output : args.outputs) outputs.push_back(output.y);
  return outputs;
}

TEST(RmsProjectTest, AgreesWithTheReferenceForOddSizes) {
  for (const int64_t rows : {1, 5, 20}) {
    const std::function<RmsProjectArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, rows, 30 + rows);
    };
    ExpectNearReference<RmsProjectArgs>(make, RmsProjectCpu, RmsProjectRef, Written, 2e-6);
    ExpectSameBitsEverywhere<RmsProjectArgs>(make, RmsProjectCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<RmsProjectArgs>(make, RmsProjectCuda, RmsProjectRef,
                                                              Written, 2e-6));
  }
}

TEST(RmsProjectTest, OnCudaAgreesWithTheReferenceForOperandsOf16Bits) {
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    for (const int64_t width : {35, 2560, 9000}) {  // 2560: in one kernel up to four rows
      for (const int64_t rows : {1, 2, 4, 5, 70}) {
        SCOPED_TRACE(testing::Message() << DTypeName(operand) << " " << rows << " x " << width);
        const std::function<RmsProjectArgs(TestTensors&)> make = [&](TestTensors& t) {
          return Make(t, rows, width, operand);
        };
        SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<RmsProjectArgs>(
            make, RmsProjectCuda, RmsProjectRef, Written, operand == DType::kF16 ? 1.5e-3 : 1e-2,
            operand));
      }
    }
  }
}

TEST(RmsProjectTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  RmsProjectArgs bad = Make(tensors, 2, 16);
  bad.outputs[1].y = tensors.Output({2, 8});
  EXPECT_EQ(bad.Validate().message(),
            "rms_project: product: projection: y: shape [2, 8], expected [2, 7]");
  bad = Make(tensors, 2, 16);
  bad.norm_weight = tensors.Random({15});
  EXPECT_EQ(bad.Validate().message(), "rms_project: x: shape [2, 16], expected [2, 15]");
}

}  // namespace
}  // namespace skein
