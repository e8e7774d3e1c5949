#include "kernels/project_add/project_add.h"

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

ProjectAddArgs Make(TestTensors& t, bool bias, int64_t rows = 14, int64_t inputs = 50,
                    DType weights = DType::kBF16) {
  ProjectAddArgs args;
  args.x = t.RandomOperand({rows, inputs});
  args.weight = t.Matrix(31, inputs, weights);
  if (bias) args.bias = t.Random({31});
  args.product = t.Output({rows, 31});
  args.residual = t.Random({rows, 31}, -3.0f, 3.0f);
  return args;
}

void Reference(const ProjectAddArgs& args) { ProjectAddRef(args); }
Outputs Written(const ProjectAddArgs& args) { return {args.residual}; }

TEST(ProjectAddTest, AddsTheProductWithAndWithoutBias) {
  for (const bool bias : {false, true}) {
    const std::function<ProjectAddArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, bias);
    };
    ExpectNearReference<ProjectAddArgs>(make, ProjectAddCpu, Reference, Written, 2e-6);
    ExpectSameBitsEverywhere<ProjectAddArgs>(make, ProjectAddCpu, Written);
    SKEIN_CUDA_ONLY(
        ExpectNearReferenceOnCuda<ProjectAddArgs>(make, ProjectAddCuda, Reference, Written, 2e-6));
  }
}

TEST(ProjectAddTest, OnCudaAddsProductsOfOperandsOf16Bits) {
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    for (const int64_t inputs : {50, 2560}) {
      for (const int64_t rows : {1, 33, 65}) {
        SCOPED_TRACE(testing::Message() << DTypeName(operand) << " " << rows << " x " << inputs);
        const std::function<ProjectAddArgs(TestTensors&)> make = [&](TestTensors& t) {
          return Make(t, true, rows, inputs, operand);
        };
        SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<ProjectAddArgs>(
            make, ProjectAddCuda, Reference, Written, operand == DType::kF16 ? 1e-3 : 5e-3,
            operand));
      }
    }
  }
}

TEST(ProjectAddTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  ProjectAddArgs bad = Make(tensors, true);
  bad.bias = tensors.Random({30});
  EXPECT_EQ(bad.Validate().message(),
            "project_add: product: projection: bias: shape [30], expected [31]");
}

}  // namespace
}  // namespace skein
