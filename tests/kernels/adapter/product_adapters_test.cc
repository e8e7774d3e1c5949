// Products with adapters, bias and activation, against the plain reference.
#include "kernels/adapter/product_adapters.h"

#include <cstring>
#include <vector>

#include "gtest/gtest.h"

#include "tests/kernels/adapter/adapter_modules.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

constexpr int64_t kRows = 11, kOutputs = 72, kInputs = 48;

struct Product {
  AdapterModule scaled, blocks, rows;
  std::vector<AdapterSegment> segments;
  AdaptedProjection adapted;
};

Product Make(TestTensors& t, Activation activation) {
  Product p;
  p.scaled = RandomModule(t, AdapterForm::kInputScaled, kOutputs, kInputs, 5);
  p.blocks = RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 8);
  p.rows = RandomModule(t, AdapterForm::kOutputScaled, kOutputs, kInputs, 3);
  p.adapted.projection = {t.Matrix(kOutputs, kInputs, DType::kBF16), t.Random({kOutputs}),
                          activation, t.Random({kRows, kInputs}), t.Output({kRows, kOutputs})};
  p.adapted.adapters.input = t.Output({kRows, kInputs});
  p.adapted.adapters.inner = t.Output({kRows, 8});
  return p;
}

void Use(Product& p) {
  p.segments = {{&p.scaled, 1, 2}, {&p.blocks, 3, 4}, {&p.rows, 8, 1}};
  p.adapted.adapters.segments = p.segments;
}

std::vector<float> Values(const ActivationView& view) {
  return {view.floats(), view.floats() + view.size()};
}

TEST(ProductAdaptersTest, AgreeWithTheReferenceAndLeaveOtherRowsAlone) {
  for (const Activation activation : {Activation::kNone, Activation::kReluSquared}) {
    TestTensors t(5);
    ParallelFor threads(3);
    Product p = Make(t, activation);
    ProjectAdaptedCpu({&p.adapted, 1}, threads);
    const std::vector<float> plain = Values(p.adapted.projection.y);
    Use(p);
    ASSERT_TRUE(p.adapted.Validate().ok()) << p.adapted.Validate();
    ProjectAdaptedCpu({&p.adapted, 1}, threads);
    const std::vector<float> found = Values(p.adapted.projection.y);
    ProjectAdaptedRef(p.adapted);
    const std::vector<float> expected = Values(p.adapted.projection.y);
    for (size_t i = 0; i < found.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 1e-4f * (1 + std::abs(expected[i]))) << i;
    }
    for (int64_t row = 0; row < kRows; ++row) {
      const bool same = std::memcmp(&found[row * kOutputs], &plain[row * kOutputs],
                                    kOutputs * sizeof(float)) == 0;
      EXPECT_EQ(same, row == 0 || row == 7 || row > 8) << row;
    }
  }
}

TEST(ProductAdaptersTest, AddToTheResidualStreamWhatTheReferenceGives) {
  TestTensors t(6);
  ParallelFor threads(2);
  Product p = Make(t, Activation::kNone);
  Use(p);
  const ActivationView residual = t.Random({kRows, kOutputs});
  const std::vector<float> before = Values(residual);
  ProjectAdaptedAndAddCpu(p.adapted, residual.f32(), threads);
  ProjectAdaptedRef(p.adapted);
  const std::vector<float> product = Values(p.adapted.projection.y);
  for (size_t i = 0; i < before.size(); ++i) {
    ASSERT_NEAR(residual[static_cast<int64_t>(i)], before[i] + product[i],
                1e-4f * (1 + std::abs(product[i])));
  }
}

TEST(ProductAdaptersTest, WhatDoesNotFitIsRefused) {
  TestTensors t(7);
  Product p = Make(t, Activation::kNone);
  Use(p);
  Product other = p;
  other.adapted.adapters.input = ActivationView();
  EXPECT_FALSE(other.adapted.Validate().ok());
  other = p;
  other.adapted.adapters.inner = t.Output({kRows, 7});
  EXPECT_FALSE(other.adapted.Validate().ok());
  p.segments[2].begin = 6;
  EXPECT_FALSE(p.adapted.Validate().ok());
  p.segments[2].begin = 11;
  EXPECT_FALSE(p.adapted.Validate().ok());
}

}  // namespace
}  // namespace skein
