// Every path that ProjectCuda can take, with operands as models have them on the GPU.
#include <vector>

#include "gtest/gtest.h"

#include "kernels/linear/linear.h"
#include "kernels/linear/streamed_products.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

struct Size {
  int64_t outputs, inputs;
  Activation activation = Activation::kNone;
  bool bias = false;
  bool narrow = false;  // results in the operands' type
  bool accumulate = false;
  bool transposed = false;
};

// Projections of one call.
struct Group {
  std::vector<Projection> projections;

  absl::Status Validate() const {
    for (const Projection& p : projections) {
      if (!p.Validate().ok()) return p.Validate();
    }
    return absl::OkStatus();
  }
};

Group Make(TestTensors& tensors, const std::vector<Size>& sizes, int64_t rows, DType dtype) {
  Group group;
  for (const Size& size : sizes) {
    Projection p;
    if (size.transposed) {
      p.weight = tensors.Matrix(size.inputs, size.outputs, dtype);
      std::swap(p.weight.rows, p.weight.cols);
      p.weight.transposed = true;
    } else {
      p.weight = tensors.Matrix(size.outputs, size.inputs, dtype);
    }
    if (size.bias) p.bias = tensors.Random({size.outputs});
    p.activation = size.activation;
    p.x = tensors.RandomOperand({rows, size.inputs});
    p.accumulate = size.accumulate;
    const Shape shape = {rows, size.outputs};
    if (size.accumulate) {
      p.y = tensors.Random(shape);
    } else {
      p.y = size.narrow ? tensors.OutputOperand(shape) : tensors.Output(shape);
    }
    group.projections.push_back(p);
  }
  return group;
}

Outputs OutputsOf(const Group& group) {
  Outputs outputs;
  for (const Projection& p : group.projections) outputs.push_back(p.y);
  return outputs;
}

void RunReference(const Group& group) {
  for (const Projection& p : group.projections) ProjectRef(p);
}
absl::Status RunCuda(const Group& group, CudaContext& context) {
  return ProjectCuda(group.projections, context);
}

void ExpectNear(const std::vector<Size>& sizes, int64_t rows, DType dtype) {
  SCOPED_TRACE(testing::Message() << rows << " rows, " << DTypeName(dtype));
  bool narrow = false;
  for (const Size& size : sizes) narrow = narrow || size.narrow;
  const double rounding = dtype == DType::kF16 ? 1e-3 : 8e-3;
  ExpectNearReferenceOnCuda<Group>(
      [&](TestTensors& tensors) { return Make(tensors, sizes, rows, dtype); }, RunCuda,
      RunReference, OutputsOf, narrow ? rounding : 1e-5, dtype);
}

constexpr DType kHalves[] = {DType::kF16, DType::kBF16};
constexpr int64_t kStreamedRows[] = {1, 2, 4, 5, 6, 7, 8, 9, 16, 17, 24, 31, 33, 48, 63, 64};

TEST(ProductPathsTest, GroupsOfFewRows) {
  for (const DType dtype : kHalves) {
    for (const int64_t rows : kStreamedRows) {
      ExpectNear({{300, 520},
                  {96, 520, Activation::kTanh, false, true},
                  {130, 96, Activation::kDecay, true},
                  {40, 200, Activation::kSigmoid, true, true},
                  {24, 480, Activation::kReluSquared, false, true},
                  {97, 128, Activation::kNone, true},
                  {1, 8}},
                 rows, dtype);
    }
  }
}

TEST(ProductPathsTest, SharedTilesAndTransposedWeights) {
  for (const DType dtype : kHalves) {
    for (const int64_t rows : {5, 8, 17, 40, 64}) {
      ExpectNear({{136, 1000, Activation::kReluSquared, true, true, false, true},
                  {256, 712, Activation::kNone, false, false, true, true},
                  {8, 72, Activation::kNone, false, false, false, true}},
                 rows, dtype);
      ExpectNear({{136, 2560, Activation::kNone, false, false, true}}, rows, dtype);
      ExpectNear({{72, 4096, Activation::kSigmoid, true, false}}, rows, dtype);
    }
  }
}

TEST(ProductPathsTest, SizesThatNoTensorCoreTakes) {
  for (const DType dtype : kHalves) {
    for (const int64_t rows : {1, 3, 9, 70}) {
      ExpectNear({{97, 64, Activation::kTanh, true, true},
                  {33, 21},
                  {64, 45, Activation::kDecay, true},
                  {45, 30, Activation::kNone, false, false, true, true},
                  {21, 40, Activation::kReluSquared, true, true, false, true}},
                 rows, dtype);
    }
  }
}

TEST(ProductPathsTest, ManyRows) {
  for (const DType dtype : kHalves) {
    for (const int64_t rows : {65, 130}) {
      ExpectNear({{256, 520},
                  {96, 520, Activation::kTanh, false, true},
                  {136, 96, Activation::kDecay, true},
                  {136, 296, Activation::kNone, false, false, true, true}},
                 rows, dtype);
    }
  }
}

TEST(ProductPathsTest, WeightsAndRowsOfDifferentTypes) {
  for (const DType weights : {DType::kF32, DType::kF16, DType::kBF16}) {
    for (const bool transposed : {false, true}) {
      Size size = {72, 136, Activation::kSigmoid, true};
      size.transposed = transposed;
      ExpectNearReferenceOnCuda<Group>(
          [&](TestTensors& tensors) { return Make(tensors, {size}, 6, weights); }, RunCuda,
          RunReference, OutputsOf, 1e-5, DType::kF32);
    }
  }
}

// Rows [0, count) of all of a group's activations.
Group FirstRows(const Group& all, int64_t count, TestTensors& tensors) {
  Group part = all;
  for (Projection& p : part.projections) {
    p.x = p.x.Rows(0, count);
    p.y = tensors.Output({count, p.weight.rows});
  }
  return part;
}

TEST(ProductPathsTest, ARowHasTheSameBitsAloneAndInAnyBatch) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  CudaContext context = TestCudaContext();
  context.batch_invariant = true;
  for (const DType dtype : kHalves) {
    for (const bool transposed : {false, true}) {
      TestTensors tensors(2, PinnedAllocate, dtype, dtype);
      const Size sizes[] = {{264, 2560, Activation::kNone, false, false, false, transposed},
                            {96, 2560, Activation::kTanh, false, false, false, transposed}};
      const Group all = Make(tensors, {sizes[0], sizes[1]}, 64, dtype);
      ASSERT_TRUE(RunCuda(all, context).ok());
      for (const int64_t count : kStreamedRows) {
        const Group part = FirstRows(all, count, tensors);
        ASSERT_TRUE(RunCuda(part, context).ok());
        ASSERT_TRUE(Synchronize().ok());
        for (size_t i = 0; i < part.projections.size(); ++i) {
          ASSERT_TRUE(SameBits(Collect({part.projections[i].y}),
                               Collect({all.projections[i].y.Rows(0, count)})))
              << DTypeName(dtype) << ": " << count << " rows, projection " << i;
        }
      }
    }
  }
}

// A product that reads what the one before it wrote, many times over, with little between.
TEST(ProductPathsTest, DependentLaunchChangesNoBit) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  for (const int64_t rows : {1, 8, 40}) {
    std::vector<float> expected;
    for (const bool dependent : {false, true}) {
      TestTensors tensors(3, PinnedAllocate, DType::kF16, DType::kF16);
      CudaContext context = TestCudaContext();
      context.dependent_launch = dependent;
      const Size up_size = {1024, 256, Activation::kReluSquared, false, true};
      const Size down_size = {256, 1024, Activation::kNone, false, false, true, true};
      Group up = Make(tensors, {up_size}, rows, DType::kF16);
      Group down = Make(tensors, {down_size}, rows, DType::kF16);
      Size back_size = {256, 1024, Activation::kTanh, false, true};
      Group back = Make(tensors, {back_size}, rows, DType::kF16);
      down.projections[0].x = back.projections[0].x = up.projections[0].y;
      back.projections[0].y =
          ActivationView(const_cast<void*>(up.projections[0].x.data()), DType::kF16, {rows, 256});
      for (int round = 0; round < 20; ++round) {
        for (const Group* group : {&up, &down, &back}) {
          ASSERT_TRUE(RunCuda(*group, context).ok());
        }
      }
      ASSERT_TRUE(Synchronize().ok());
      const std::vector<float> found = Collect({down.projections[0].y, up.projections[0].x});
      if (dependent) {
        EXPECT_TRUE(SameBits(found, expected)) << rows << " rows";
      }
      expected = found;
    }
  }
}

TEST(ProductPathsTest, TooLittleWorkspaceIsRefused) {
  if (!HasGpu()) GTEST_SKIP() << "no GPU";
  TestTensors tensors(4, PinnedAllocate, DType::kF16, DType::kF16);
  const Group group = Make(tensors, {{256, 256}}, 8, DType::kF16);
  CudaContext context = TestCudaContext();
  if (!CanStream(group.projections[0], context)) GTEST_SKIP() << "no such kernel for this GPU";
  context.workspace_bytes = 100;
  EXPECT_TRUE(absl::IsInternal(StreamedProducts(group.projections, context)));
  EXPECT_LE(StreamedWorkspaceBytes(context.sm_count), TestCudaContext().workspace_bytes);
  EXPECT_LE(StreamedCounters(context.sm_count), context.num_counters);
}

}  // namespace
}  // namespace skein
