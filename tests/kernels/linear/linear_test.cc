#include "kernels/linear/linear.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Sizes {
  int64_t rows, inputs, outputs;
};
// On both sides of the tile widths, of the border between streaming and blocking, and of a block of
// columns.
constexpr Sizes kSizes[] = {{1, 1, 1},     {1, 16, 24},   {2, 13, 45},   {3, 21, 7},
                            {4, 64, 6},    {5, 100, 29},  {12, 33, 50},  {13, 33, 50},
                            {24, 40, 13},  {25, 40, 13},  {31, 65, 5},   {64, 48, 49},
                            {130, 17, 25}, {14, 1024, 8}, {15, 1030, 7}, {1, 2500, 3}};
constexpr DType kTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

Projection Make(TestTensors& tensors, const Sizes& s, DType dtype, Activation activation) {
  Projection p;
  p.weight = tensors.Matrix(s.outputs, s.inputs, dtype);
  p.bias = tensors.Random({s.outputs});
  p.activation = activation;
  p.x = tensors.Random({s.rows, s.inputs});
  p.y = tensors.Output({s.rows, s.outputs});
  return p;
}

void RunOne(const Projection& p, ParallelFor& threads) { ProjectCpu({&p, 1}, threads); }
#if SKEIN_CUDA
absl::Status RunOneOnCuda(const Projection& p, CudaContext& context) {
  return ProjectCuda({&p, 1}, context);
}
#endif

TEST(LinearTest, AgreesWithDoublePrecisionForOddSizesTypesAndActivations) {
  const Activation activations[] = {Activation::kNone, Activation::kTanh, Activation::kSigmoid,
                                    Activation::kReluSquared, Activation::kDecay};
  int i = 0;
  for (const Sizes& sizes : kSizes) {
    for (const DType dtype : kTypes) {
      SCOPED_TRACE(testing::Message() << sizes.rows << " x " << sizes.inputs << " x "
                                      << sizes.outputs << " " << DTypeName(dtype));
      const Activation activation = activations[i++ % 5];
      const std::function<Projection(TestTensors&)> make = [&](TestTensors& tensors) {
        return Make(tensors, sizes, dtype, activation);
      };
      const std::function<Outputs(const Projection&)> outputs = [](const Projection& p) {
        return Outputs{p.y};
      };
      ExpectNearReference<Projection>(make, RunOne, ProjectRef, outputs, 2e-6);
      ExpectSameBitsEverywhere<Projection>(make, RunOne, outputs);
      SKEIN_CUDA_ONLY(
          ExpectNearReferenceOnCuda<Projection>(make, RunOneOnCuda, ProjectRef, outputs, 5e-6));
    }
  }
}

TEST(LinearTest, ARowHasTheSameBitsAloneAndInAnyBatch) {
  ParallelFor threads(2);
  for (const DType dtype : kTypes) {
    for (const int64_t inputs : {13, 64, 1030}) {
      TestTensors tensors(2);
      Projection all = Make(tensors, {140, inputs, 31}, dtype, Activation::kNone);
      RunOne(all, threads);
      for (const int64_t count : {1, 2, 3, 4, 5, 8, 12, 13, 16, 24, 25, 131}) {
        for (const int64_t begin : {0L, 7L, 140 - count}) {
          if (begin + count > 140) continue;
          Projection part = all;
          part.x = TensorView<const float>(all.x.row(begin), {count, inputs});
          part.y = tensors.Output({count, 31});
          RunOne(part, threads);
          const ActivationView expected = all.y.Rows(begin, count);
          ASSERT_TRUE(SameBits(Collect({part.y}), Collect({expected})))
              << DTypeName(dtype) << " " << inputs << ": rows " << begin << " + " << count;
        }
      }
    }
  }
}

#if SKEIN_CUDA
TEST(LinearTest, ARowHasTheSameBitsAloneAndInAnyBatchOnCuda) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  for (const DType dtype : kTypes) {
    for (const int64_t inputs : {13, 64, 1032}) {
      TestTensors tensors(2, PinnedAllocate);
      const Projection all = Make(tensors, {40, inputs, 31}, dtype, Activation::kNone);
      ASSERT_TRUE(RunOneOnCuda(all, TestCudaContext()).ok());
      for (const int64_t count : {1, 2, 3, 4, 5, 8, 9, 33}) {
        Projection part = all;
        part.x = TensorView<const float>(all.x.row(4), {count, inputs});
        part.y = tensors.Output({count, 31});
        ASSERT_TRUE(RunOneOnCuda(part, TestCudaContext()).ok());
        ASSERT_TRUE(Synchronize().ok());
        const ActivationView expected = all.y.Rows(4, count);
        ASSERT_TRUE(SameBits(Collect({part.y}), Collect({expected})))
            << DTypeName(dtype) << " " << inputs << ": " << count << " rows";
      }
    }
  }
}
#endif

TEST(LinearTest, SeveralProjectionsAtOnceGiveWhatEachGivesAlone) {
  ParallelFor threads(3);
  TestTensors tensors(3);
  std::vector<Projection> together, alone;
  for (const Sizes& sizes :
       {Sizes{3, 40, 100}, Sizes{3, 40, 5}, Sizes{3, 64, 1}, Sizes{3, 9, 48}}) {
    together.push_back(Make(tensors, sizes, DType::kBF16, Activation::kSigmoid));
    alone.push_back(together.back());
    alone.back().y = tensors.Output({sizes.rows, sizes.outputs});
    RunOne(alone.back(), threads);
  }
  ProjectCpu(together, threads);
  for (size_t i = 0; i < together.size(); ++i) {
    EXPECT_TRUE(SameBits(Collect({together[i].y}), Collect({alone[i].y}))) << i;
  }
}

TEST(LinearTest, WeightRowsAreConvertedExactly) {
  TestTensors tensors(4);
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    for (const DType dtype : kTypes) {
      const WeightMatrix weight = tensors.Matrix(3, 37, dtype);
      std::vector<float> row(37);
      WeightRow(weight, 2, row.data());
      for (int64_t i = 0; i < 37; ++i) ASSERT_EQ(row[i], WeightAt(weight, 2, i));
    }
  }
}

TEST(LinearTest, EveryHalfPrecisionValueIsWidenedAsItIs) {
  std::vector<uint16_t> bits;
  for (uint32_t i = 0; i < 65536; ++i) {
    if ((i & 0x7fffu) <= 0x7c00u) bits.push_back(static_cast<uint16_t>(i));  // no NaN
  }
  const WeightMatrix weight = {bits.data(), DType::kF16, 1, static_cast<int64_t>(bits.size())};
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    std::vector<float> row(bits.size());
    WeightRow(weight, 0, row.data());
    for (size_t i = 0; i < bits.size(); ++i) ASSERT_EQ(row[i], Fp16ToFloat(bits[i])) << bits[i];
  }
}

TEST(LinearTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(5);
  const Projection good = Make(tensors, {2, 3, 4}, DType::kF32, Activation::kNone);
  EXPECT_TRUE(good.Validate().ok());
  Projection bad = good;
  bad.x = tensors.Random({2, 4});
  EXPECT_EQ(bad.Validate().message(), "projection: x: shape [2, 4], expected [2, 3]");
  bad = good;
  bad.y = tensors.Random({2, 3});
  EXPECT_EQ(bad.Validate().message(), "projection: y: shape [2, 3], expected [2, 4]");
  bad = good;
  bad.bias = tensors.Random({3});
  EXPECT_EQ(bad.Validate().message(), "projection: bias: shape [3], expected [4]");
  bad = good;
  bad.weight.dtype = DType::kI8;
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
}

}  // namespace
}  // namespace skein
