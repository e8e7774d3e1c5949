#include "kernels/linear/matmul.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "kernels/linear/linear.h"
#include "tests/kernels/linear/device_array.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

// One product on random operands, with what it should give.
struct Problem {
  ProductGroup group;
  std::vector<uint16_t> x, weight;
  std::vector<float> bias, before;
  std::vector<float> expected;
};

uint16_t Narrow(float value, DType type) {
  return type == DType::kF16 ? FloatToFp16(value) : FloatToBf16(value);
}
float Widen(uint16_t bits, DType type) {
  return type == DType::kF16 ? Fp16ToFloat(bits) : Bf16ToFloat(bits);
}

std::vector<uint16_t> RandomHalves(int64_t count, DType type, float scale, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-scale, scale);
  std::vector<uint16_t> values(count);
  for (uint16_t& value : values) value = Narrow(uniform(random), type);
  return values;
}

std::vector<uint16_t> Turned(const std::vector<uint16_t>& from, int64_t rows, int64_t columns) {
  std::vector<uint16_t> to(from.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to[c * rows + r] = from[r * columns + c];
  }
  return to;
}

Problem MakeProblem(const ProductGroup& group, uint32_t seed = 1) {
  std::mt19937 random(seed);
  Problem problem;
  problem.group = group;
  const ProductShape& shape = group.products[0];
  const int64_t m = group.rows, n = shape.outputs, k = shape.inputs;
  problem.x = RandomHalves(m * k, group.operand, 1.0f, random);
  problem.weight = RandomHalves(n * k, group.operand, 2.0f / std::sqrt(float(k)), random);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  for (int64_t i = 0; i < n; ++i) problem.bias.push_back(uniform(random));
  for (int64_t i = 0; i < m * n; ++i) problem.before.push_back(uniform(random));
  std::vector<float> x(m * k);
  for (int64_t i = 0; i < m * k; ++i) x[i] = Widen(problem.x[i], group.operand);
  problem.expected.resize(m * n);
  Projection p;
  p.weight = {problem.weight.data(), group.operand, n, k};
  if (shape.bias) p.bias = TensorView<const float>(problem.bias.data(), {n});
  p.activation = shape.activation;
  p.x = TensorView<const float>(x.data(), {m, k});
  p.y = TensorView<float>(problem.expected.data(), {m, n});
  ProjectRef(p);
  if (shape.accumulate) {
    for (int64_t i = 0; i < m * n; ++i) problem.expected[i] += problem.before[i];
  }
  if (group.transposed) problem.weight = Turned(problem.weight, n, k);
  return problem;
}

// The operands in device memory.
struct OnDevice {
  explicit OnDevice(const Problem& problem)
      : x(problem.x),
        weight(problem.weight),
        bias(problem.bias),
        y(problem.expected.size() * (IsWide(problem) ? 4 : 2)) {
    if (problem.group.products[0].accumulate) y.Upload(problem.before.data());
    operands = {weight.data(), x.data(),
                problem.group.products[0].bias ? static_cast<const float*>(bias.data()) : nullptr,
                y.data()};
  }
  static bool IsWide(const Problem& problem) {
    return problem.group.products[0].result == DType::kF32;
  }
  std::vector<float> Result(const Problem& problem) const {
    const std::vector<unsigned char> bytes = y.Download();
    std::vector<float> values(problem.expected.size());
    for (size_t i = 0; i < values.size(); ++i) {
      if (IsWide(problem)) {
        std::memcpy(&values[i], bytes.data() + 4 * i, 4);
      } else {
        uint16_t half;
        std::memcpy(&half, bytes.data() + 2 * i, 2);
        values[i] = Widen(half, problem.group.operand);
      }
    }
    return values;
  }

  DeviceArray x, weight, bias, y;
  ProductOperands operands;
};

// fp32 sums in another order than the reference's; then one rounding to the result's type, or two
// where the library stores a result that a second kernel finishes.
double Tolerance(const ProductGroup& group) {
  switch (group.products[0].result) {
    case DType::kF16:
      return 6e-4;
    case DType::kBF16:
      return 5e-3;
    default:
      return 5e-6;
  }
}

ProductGroup Group(int64_t rows, int64_t inputs, int64_t outputs, DType operand, bool transposed) {
  ProductGroup group;
  group.rows = rows;
  group.operand = operand;
  group.transposed = transposed;
  group.count = 1;
  group.products[0].inputs = inputs;
  group.products[0].outputs = outputs;
  return group;
}

// Every way to finish a product that a model has.
std::vector<ProductShape> Shapes(int64_t inputs, int64_t outputs, DType operand) {
  std::vector<ProductShape> shapes(8);
  for (ProductShape& shape : shapes) shape.inputs = inputs, shape.outputs = outputs;
  for (const int i : {1, 3, 4, 5}) shapes[i].result = operand;
  for (const int i : {4, 5, 6, 7}) shapes[i].bias = true;
  shapes[2].accumulate = true;
  shapes[3].activation = Activation::kReluSquared;
  shapes[5].activation = Activation::kTanh;
  shapes[6].activation = Activation::kSigmoid;
  shapes[7].activation = Activation::kDecay;
  return shapes;
}

class MatmulTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!HasGpu()) GTEST_SKIP() << "no GPU";
    context_ = TestCudaContext();
    absl::StatusOr<std::unique_ptr<Matmul>> matmul = Matmul::Create({"", false});
    if (matmul.ok()) matmul_ = *std::move(matmul);
  }

  // All tiles that fit, and the library's first algorithm.
  std::vector<ProductPlan> Plans(const ProductGroup& group) {
    std::vector<ProductPlan> plans;
    for (const ProductTile& tile : ProductTiles()) {
      if (TileFits(tile, group) && TileProductsTake(group, context_)) {
        plans.push_back({true, tile, {}});
      }
    }
    if (matmul_ != nullptr) {
      const auto algorithms = matmul_->library().Algorithms(group, context_.workspace_bytes, 1);
      EXPECT_TRUE(algorithms.ok()) << algorithms.status();
      if (algorithms.ok()) plans.push_back({false, {}, algorithms->front()});
    }
    return plans;
  }
  absl::Status RunPlan(const ProductPlan& plan, const ProductGroup& group,
                       std::span<const ProductOperands> operands) {
    if (plan.tiles) return TileProducts(group, operands, plan.tile, context_);
    return matmul_->RunPlan(plan, group, operands, context_);
  }
  std::vector<float> Run(const ProductPlan& plan, const Problem& problem) {
    const OnDevice on_device(problem);
    const absl::Status status = RunPlan(plan, problem.group, {&on_device.operands, 1});
    EXPECT_TRUE(status.ok()) << status;
    return on_device.Result(problem);
  }
  void ExpectAllPlansNearReference(const ProductGroup& group) {
    const Problem problem = MakeProblem(group);
    for (const ProductPlan& plan : Plans(group)) {
      SCOPED_TRACE(absl::StrCat(GroupName(group), ": ", PlanText(plan)));
      const std::vector<float> found = Run(plan, problem);
      ASSERT_LE(WorstError(found, problem.expected), Tolerance(group) * (plan.tiles ? 1 : 2));
      ASSERT_TRUE(SameBits(Run(plan, problem), found)) << "the second run differs";
    }
  }

  CudaContext context_;
  std::unique_ptr<Matmul> matmul_;
};

TEST(MatmulLibraryTest, WithoutTheLibraryCreateSaysSo) {
  const auto matmul = Matmul::Create({});
  if (matmul.ok()) GTEST_SKIP() << "the library is here";
  EXPECT_TRUE(absl::IsUnavailable(matmul.status())) << matmul.status();
}

TEST_F(MatmulTest, AgreesWithDoublePrecisionForAllWaysToFinish) {
  for (const DType operand : {DType::kF16, DType::kBF16}) {
    for (const bool transposed : {false, true}) {
      ProductGroup group = Group(200, 264, 136, operand, transposed);
      for (const ProductShape& shape : Shapes(264, 136, operand)) {
        group.products[0] = shape;
        ExpectAllPlansNearReference(group);
      }
    }
  }
}

TEST_F(MatmulTest, AgreesWithDoublePrecisionForOddSizes) {
  struct Sizes {
    int64_t rows, inputs, outputs;
  };
  for (const Sizes& s : {Sizes{1, 8, 8},
                         {65, 1096, 8},
                         {96, 64, 520},
                         {127, 72, 200},
                         {128, 1024, 128},
                         {200, 520, 392},
                         {513, 200, 264}}) {
    for (const DType operand : {DType::kF16, DType::kBF16}) {
      ExpectAllPlansNearReference(Group(s.rows, s.inputs, s.outputs, operand, false));
      ExpectAllPlansNearReference(Group(s.rows, s.inputs, s.outputs, operand, true));
    }
  }
}

TEST_F(MatmulTest, ARowDoesNotDependOnTheOthers) {
  const ProductGroup group = Group(200, 1024, 136, DType::kF16, false);
  const Problem problem = MakeProblem(group);
  Problem other = MakeProblem(group, 2);
  other.weight = problem.weight;
  constexpr int64_t kRow = 77;
  std::copy_n(problem.x.begin() + kRow * 1024, 1024, other.x.begin() + kRow * 1024);
  const auto row = [](const std::vector<float>& y) {
    return std::vector<float>(y.begin() + kRow * 136, y.begin() + (kRow + 1) * 136);
  };
  for (const ProductPlan& plan : Plans(group)) {
    EXPECT_TRUE(SameBits(row(Run(plan, problem)), row(Run(plan, other)))) << PlanText(plan);
  }
}

TEST_F(MatmulTest, DependentLaunchChangesNothing) {
  ProductGroup group = Group(130, 1024, 264, DType::kBF16, true);
  group.products[0].accumulate = true;
  const Problem problem = MakeProblem(group);
  for (const ProductPlan& plan : Plans(group)) {
    std::vector<std::vector<float>> results;
    for (const bool dependent : {true, false}) {
      context_.dependent_launch = dependent;
      const OnDevice on_device(problem);
      for (int i = 0; i < 5; ++i) {  // each adds to what the one before it wrote
        ASSERT_TRUE(RunPlan(plan, group, {&on_device.operands, 1}).ok());
      }
      results.push_back(on_device.Result(problem));
    }
    EXPECT_TRUE(SameBits(results[0], results[1])) << PlanText(plan);
  }
}

// Products of the same rows, on the device.
struct GroupOnDevice {
  GroupOnDevice(int64_t rows, int64_t inputs, std::span<const int64_t> outputs) {
    group = Group(rows, inputs, 0, DType::kF16, false);
    group.count = 0;
    for (const int64_t o : outputs) {
      problems.push_back(MakeProblem(Group(rows, inputs, o, DType::kF16, false), o));
      on_device.push_back(std::make_unique<OnDevice>(problems.back()));
      operands.push_back(on_device.back()->operands);
      group.products[group.count++] = problems.back().group.products[0];
    }
  }
  void Poison() {
    for (const auto& one : on_device) one->y.Poison();
  }
  std::vector<float> Result(size_t i) const { return on_device[i]->Result(problems[i]); }

  ProductGroup group;
  std::vector<Problem> problems;
  std::vector<std::unique_ptr<OnDevice>> on_device;
  std::vector<ProductOperands> operands;
};

TEST_F(MatmulTest, AGroupGivesWhatEachProductGivesAlone) {
  const std::vector<int64_t> outputs = {136, 8, 264, 16};
  GroupOnDevice all(200, 264, outputs);
  for (const ProductPlan& plan : Plans(all.group.Single(0))) {
    if (!plan.tiles) continue;
    all.Poison();
    ASSERT_TRUE(RunPlan(plan, all.group, all.operands).ok());
    for (size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_TRUE(SameBits(all.Result(i), Run(plan, all.problems[i])))
          << PlanText(plan) << ", product " << i;
    }
  }
  if (matmul_ == nullptr) return;
  all.Poison();
  ASSERT_TRUE(matmul_->RunPlan(ProductPlan(), all.group, all.operands, context_).ok());
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_LE(WorstError(all.Result(i), all.problems[i].expected), 5e-6) << i;
  }
}

TEST_F(MatmulTest, MixedTilesSplitNarrowProductsAlone) {
  // Few units and many: the last round of whole tiles leaves clusters idle, or none.
  for (const int64_t rows : {100, 700}) {
    const std::vector<int64_t> outputs = {2304, 264, 8, 1800};
    GroupOnDevice all(rows, 328, outputs);
    for (const ProductTile& tile : ProductTiles()) {
      if (!tile.mixed || !TileProductsTake(all.group, context_)) continue;
      SCOPED_TRACE(PlanText({true, tile, {}}));
      for (int run = 0; run < 2; ++run) {
        all.Poison();
        ASSERT_TRUE(TileProducts(all.group, all.operands, tile, context_).ok());
        for (size_t i = 0; i < outputs.size(); ++i) {
          const bool split = i == 1 || i == 2;
          const ProductTile alone = {tile.rows, tile.outputs, split ? tile.split : 1};
          EXPECT_TRUE(SameBits(all.Result(i), Run({true, alone, {}}, all.problems[i]))) << i;
        }
      }
    }
  }
}

TEST_F(MatmulTest, MeasuredPlansAreKeptForTheNextRun) {
  if (matmul_ == nullptr) GTEST_SKIP() << "no cublasLt";
  const std::string directory = absl::StrCat(testing::TempDir(), "/matmul_", getpid());
  const ProductGroup group = Group(100, 1024, 1024, DType::kF16, false);
  const auto create = [&] {
    absl::StatusOr<std::unique_ptr<Matmul>> matmul = Matmul::Create({directory, true});
    EXPECT_TRUE(matmul.ok()) << matmul.status();
    return *std::move(matmul);
  };
  const std::unique_ptr<Matmul> first = create();
  ASSERT_TRUE(first->Prepare({&group, 1}, context_).ok());
  const std::optional<ProductPlan> plan = first->PlanOf(group);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1);
  // Another run takes it from the file, for other rows of the same bucket too.
  const std::unique_ptr<Matmul> second = create();
  ProductGroup more = group;
  more.rows = 112;
  const Problem problem = MakeProblem(more);
  const OnDevice on_device(problem);
  ASSERT_TRUE(second->Run(more, {&on_device.operands, 1}, context_).ok());
  EXPECT_EQ(second->PlanOf(group), plan);
  EXPECT_LE(WorstError(on_device.Result(problem), problem.expected), 5e-6);
  std::filesystem::remove_all(directory);
}

TEST_F(MatmulTest, UnknownGroupsRunUnmeasuredUnlessTuning) {
  if (matmul_ == nullptr) GTEST_SKIP() << "no cublasLt";
  const absl::StatusOr<std::unique_ptr<Matmul>> matmul = Matmul::Create({});
  ASSERT_TRUE(matmul.ok()) << matmul.status();
  const Problem small = MakeProblem(Group(96, 256, 136, DType::kBF16, true));
  const Problem large = MakeProblem(Group(96, 1024, 1032, DType::kBF16, true));
  for (const bool tuning : {false, true}) {
    context_.tuning = tuning;
    for (const Problem* problem : {&small, &large}) {
      const OnDevice on_device(*problem);
      ASSERT_TRUE((*matmul)->Run(problem->group, {&on_device.operands, 1}, context_).ok());
      EXPECT_LE(WorstError(on_device.Result(*problem), problem->expected), 5e-6);
      EXPECT_EQ((*matmul)->PlanOf(problem->group).has_value(), tuning && problem == &large);
    }
  }
  EXPECT_EQ(context_.tuned_products, 1);
  EXPECT_GT(context_.tuning_seconds, 0);
}

}  // namespace
}  // namespace skein
