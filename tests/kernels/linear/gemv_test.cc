#include "kernels/linear/gemv.h"

#include <functional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t rows, inputs, outputs;
};

Projection Make(TestTensors& tensors, const Sizes& s, DType dtype,
                Activation activation = Activation::kNone) {
  Projection p;
  p.weight = tensors.Matrix(s.outputs, s.inputs, dtype);
  p.bias = tensors.Random({s.outputs});
  p.activation = activation;
  p.x = tensors.RandomOperand({s.rows, s.inputs});
  p.y = tensors.Output({s.rows, s.outputs});
  return p;
}

// The same weights as [inputs, outputs], and x with that share of zeros.
Projection MakeTransposed(TestTensors& tensors, const Sizes& s, DType dtype, float zeros) {
  Projection p = Make(tensors, s, dtype);
  const WeightMatrix stored = tensors.Matrix(s.inputs, s.outputs, dtype);
  p.weight = {stored.data, dtype, s.outputs, s.inputs, /*transposed=*/true};
  const ActivationView x = tensors.RandomOperand({s.rows, s.inputs}, 0.0f, 1.0f);
  const TensorView<float> chances = tensors.Random(x.shape(), 0.0f, 1.0f);
  for (int64_t i = 0; i < x.size(); ++i) {
    if (chances[i] >= zeros) continue;
    if (x.dtype() == DType::kF32) {
      x[i] = 0;
    } else {
      static_cast<uint16_t*>(x.data())[i] = 0;
    }
  }
  p.x = x;
  return p;
}

TEST(GemvTest, WhatItDoesNotTakeIsKnownBefore) {
  CudaContext context;
  context.num_counters = 1024;
  TestTensors tensors(1, HostAllocate, DType::kF16, DType::kF16);
  const auto takes = [&](const Sizes& sizes, DType dtype) {
    const Projection p = Make(tensors, sizes, dtype);
    return CanGemv({&p, 1}, context);
  };
  EXPECT_TRUE(takes({1, 256, 1}, DType::kF16));
  EXPECT_TRUE(takes({4, 2560, 7}, DType::kF16));
  EXPECT_TRUE(takes({4, 12288, 7}, DType::kF16));
  EXPECT_FALSE(takes({5, 256, 1}, DType::kF16));
  EXPECT_FALSE(takes({1, 250, 1}, DType::kF16));
  EXPECT_FALSE(takes({1, 256, 1}, DType::kF32));
  EXPECT_FALSE(takes({1, 256, 1}, DType::kBF16)) << "x is fp16";
  const std::vector<Projection> mixed = {Make(tensors, {1, 256, 3}, DType::kF16),
                                         Make(tensors, {1, 512, 3}, DType::kF16)};
  EXPECT_FALSE(CanGemv(mixed, context));
  CudaContext invariant = context;
  invariant.batch_invariant = true;
  EXPECT_FALSE(CanGemv({mixed.data(), 1}, invariant));
  CudaContext ampere = context;
  ampere.compute_capability = 80;
  EXPECT_FALSE(CanGemv({mixed.data(), 1}, ampere));
}

constexpr DType kTypes[] = {DType::kF16, DType::kBF16};

absl::Status RunOne(const Projection& p, CudaContext& context) {
  return GemvProducts({&p, 1}, context);
}
std::vector<float> Results(const Projection& p) {
  EXPECT_TRUE(RunOne(p, TestCudaContext()).ok());
  EXPECT_TRUE(Synchronize().ok());
  return Collect({p.y});
}
const std::function<Outputs(const Projection&)> kWritten = [](const Projection& p) {
  return Outputs{p.y};
};

TEST(GemvTest, AgreesWithDoublePrecision) {
  const Activation activations[] = {Activation::kNone, Activation::kTanh, Activation::kSigmoid,
                                    Activation::kReluSquared};
  int i = 0;
  for (const Sizes& sizes :
       {Sizes{1, 256, 1}, Sizes{1, 4096, 300}, Sizes{2, 1024, 133}, Sizes{3, 2560, 45},
        Sizes{4, 4096, 137}, Sizes{1, 12288, 29}, Sizes{4, 5120, 33}, Sizes{2, 2048, 1057}}) {
    for (const DType dtype : kTypes) {
      SCOPED_TRACE(testing::Message() << sizes.rows << " x " << sizes.inputs << " x "
                                      << sizes.outputs << " " << DTypeName(dtype));
      const Activation activation = activations[i++ % 4];
      const std::function<Projection(TestTensors&)> make = [&](TestTensors& tensors) {
        return Make(tensors, sizes, dtype, activation);
      };
      ExpectNearReferenceOnCuda<Projection>(make, RunOne, ProjectRef, kWritten, 5e-6, dtype);
    }
  }
}

TEST(GemvTest, ZerosOfATransposedProductAreLeftOut) {
  for (const Sizes& sizes : {Sizes{1, 8, 8}, Sizes{1, 4096, 264}, Sizes{2, 352, 88},
                             Sizes{3, 2560, 200}, Sizes{4, 1024, 264}}) {
    for (const DType dtype : kTypes) {
      for (const float zeros : {0.0f, 0.85f, 1.0f}) {
        SCOPED_TRACE(testing::Message()
                     << sizes.rows << " x " << sizes.inputs << " x " << sizes.outputs << " "
                     << DTypeName(dtype) << " " << zeros);
        const std::function<Projection(TestTensors&)> make = [&](TestTensors& tensors) {
          return MakeTransposed(tensors, sizes, dtype, zeros);
        };
        ExpectNearReferenceOnCuda<Projection>(make, RunOne, ProjectRef, kWritten, 5e-6, dtype);
      }
    }
  }
}

// Row 0 beside other rows, for any number of rows of one kernel.
void ExpectNoNeighbourMatters(const std::function<Projection(TestTensors&, int64_t)>& make,
                              const std::vector<int64_t>& row_counts) {
  std::vector<float> first;
  for (const int64_t rows : row_counts) {
    for (const bool others : {false, true}) {
      TestTensors tensors(1, PinnedAllocate, DType::kF16, DType::kF16);
      const Projection p = make(tensors, row_counts.back());
      auto* x = const_cast<uint16_t*>(static_cast<const uint16_t*>(p.x.data()));
      const int64_t inputs = p.weight.cols;
      for (int64_t i = inputs; others && i < p.x.size(); ++i) x[i] = x[i] == 0 ? 0x3c00 : 0;
      Projection part = p;
      part.x = ConstActivationView(p.x.data(), DType::kF16, {rows, inputs});
      part.y = tensors.Output({rows, p.weight.rows});
      std::vector<float> found = Results(part);
      found.resize(p.weight.rows);
      if (first.empty()) first = found;
      EXPECT_TRUE(SameBits(found, first)) << rows << " rows, " << (others ? "other" : "same");
    }
  }
}

TEST(GemvTest, ARowHasTheSameBitsBesideAnyOthers) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  ExpectNoNeighbourMatters(
      [](TestTensors& t, int64_t rows) {
        return Make(t, {rows, 2048, 333}, DType::kF16);
      },
      {1, 2, 3, 4});
  for (const std::vector<int64_t>& counts : {std::vector<int64_t>{2}, {3, 4}}) {
    ExpectNoNeighbourMatters(
        [](TestTensors& t, int64_t rows) {
          return MakeTransposed(t, {rows, 4096, 256}, DType::kF16, 0.85f);
        },
        counts);
  }
}

TEST(GemvTest, SeveralMatricesAtOnceGiveWhatEachGivesAlone) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  TestTensors tensors(3, PinnedAllocate, DType::kBF16, DType::kBF16);
  std::vector<Projection> together, alone;
  for (const int64_t outputs : {1100, 3, 1057, 96, 1, 480}) {
    together.push_back(Make(tensors, {3, 1024, outputs}, DType::kBF16, Activation::kSigmoid));
    alone.push_back(together.back());
    alone.back().y = tensors.Output({3, outputs});
  }
  ASSERT_TRUE(GemvProducts(together, TestCudaContext()).ok());
  ASSERT_TRUE(Synchronize().ok());
  for (size_t i = 0; i < together.size(); ++i) {
    EXPECT_TRUE(SameBits(Collect({together[i].y}), Results(alone[i]))) << i;
  }
}

TEST(GemvTest, AddsToFp32AndRoundsToSixteenBits) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  for (const bool transposed : {false, true}) {
    TestTensors tensors(4, PinnedAllocate, DType::kF16, DType::kF16);
    const Projection p = transposed ? MakeTransposed(tensors, {2, 512, 136}, DType::kF16, 0.5f)
                                    : Make(tensors, {2, 512, 136}, DType::kF16);
    const std::vector<float> plain = Results(p);
    Projection added = p;
    const TensorView<float> residual = tensors.Random({2, 136});
    const std::vector<float> before = Collect({residual});
    added.y = residual;
    added.accumulate = true;
    const std::vector<float> sums = Results(added);
    Projection rounded = p;
    rounded.y = tensors.OutputOperand({2, 136});
    const std::vector<float> halves = Results(rounded);
    for (size_t i = 0; i < plain.size(); ++i) {
      ASSERT_EQ(sums[i], before[i] + plain[i]) << i;
      ASSERT_EQ(halves[i], Fp16ToFloat(FloatToFp16(plain[i]))) << i;
    }
  }
}

TEST(GemvTest, DependentLaunchChangesNoBit) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  std::vector<float> first;
  for (const bool dependent : {false, true}) {
    TestTensors tensors(5, PinnedAllocate, DType::kF16, DType::kF16);
    CudaContext context = TestCudaContext();
    context.dependent_launch = dependent;
    const Projection up = Make(tensors, {2, 1024, 2048}, DType::kF16, Activation::kReluSquared);
    Projection into = up;
    into.y = tensors.OutputOperand({2, 2048});
    Projection down = MakeTransposed(tensors, {2, 2048, 1024}, DType::kF16, 0.0f);
    down.x = into.y;
    const TensorView<float> residual = tensors.Random({2, 1024});
    down.y = residual;
    down.accumulate = true;
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(RunOne(into, context).ok());
      ASSERT_TRUE(RunOne(down, context).ok());
    }
    ASSERT_TRUE(Synchronize().ok());
    const std::vector<float> found = Collect({residual});
    if (first.empty()) first = found;
    EXPECT_TRUE(SameBits(found, first));
  }
}

}  // namespace
}  // namespace skein
