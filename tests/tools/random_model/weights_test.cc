#include "tools/random_model/weights.h"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "tools/random_model/model_in_memory.h"

namespace skein::random_model {
namespace {

std::vector<float> Values(const PlannedTensor& tensor) {
  std::vector<float> values(NumElements(tensor.shape));
  RandomWeights(tensor, DType::kF32, 1)
      .Write(0, static_cast<int64_t>(values.size()), reinterpret_cast<std::byte*>(values.data()));
  return values;
}

TEST(RandomWeightsTest, FollowTheirDistribution) {
  const PlannedTensor tensor{"t", {1000, 100}, {1.0f, 0.5f, 3.0f, 1.0f}};
  const std::vector<float> values = Values(tensor);
  for (int64_t column : {0, 50, 99}) {
    double sum = 0, squares = 0;
    for (int64_t row = 0; row < 1000; ++row) {
      const double value = values[row * 100 + column];
      sum += value;
      squares += value * value;
    }
    const double mean = sum / 1000;
    EXPECT_NEAR(mean, 1.0 + 2.0 * static_cast<double>(column) / 99.0, 0.05);
    EXPECT_NEAR(std::sqrt(squares / 1000 - mean * mean), 0.5 / std::sqrt(3.0), 0.02);
  }
}

TEST(RandomWeightsTest, KeepTheGapAndTheFirstColumn) {
  PlannedTensor tensor{"t", {50, 100}, {.mean = 0.5f, .spread = 0.1f, .gap = 0.4f}};
  tensor.values.first_column = 7.0f;
  const std::vector<float> values = Values(tensor);
  int low = 0;
  for (int64_t i = 0; i < 5000; ++i) {
    if (i % 100 == 0) {
      EXPECT_EQ(values[i], 7.0f);
      continue;
    }
    EXPECT_NEAR(std::abs(values[i] - 0.5f), 0.45f, 0.05f);
    low += values[i] < 0.5f ? 1 : 0;
  }
  EXPECT_NEAR(low, 2475, 150);
}

TEST(RandomWeightsTest, AreTheSameInPiecesAsWhole) {
  const PlannedTensor tensor{"t", {30, 10}, {.spread = 0.1f, .first_column = 2.0f}};
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    const RandomWeights weights(tensor, dtype, 3);
    const int64_t item = DTypeBytes(dtype);
    std::vector<std::byte> whole(300 * item), pieces(300 * item);
    weights.Write(0, 300, whole.data());
    weights.Write(128, 172, pieces.data() + 128 * item);
    weights.Write(0, 128, pieces.data());
    EXPECT_EQ(whole, pieces) << DTypeName(dtype);
  }
}

TEST(ModelInMemoryTest, HoldsEveryPlannedTensorWhateverTheThreads) {
  ParallelFor one(1), three(3);
  for (const char* name : {"tiny", "hybrid-tiny"}) {
    const ModelShape shape = *FindShape(name);
    const auto a = ModelInMemory(shape, DType::kF16, 5, one);
    const auto b = ModelInMemory(shape, DType::kF16, 5, three);
    const auto outline = ModelOutline(shape, DType::kF16);
    ASSERT_TRUE(a.ok() && b.ok() && outline.ok());
    EXPECT_EQ((*a)->config_json().empty(), !shape.hybrid);
    ASSERT_EQ((*a)->tensors().size(), PlanTensors(shape).size());
    for (const auto& [tensor, entry] : (*a)->tensors()) {
      const TensorEntry* other = (*b)->Find(tensor);
      ASSERT_NE(other, nullptr);
      EXPECT_EQ(std::memcmp(entry.data, other->data, NumElements(entry.shape) * 2), 0) << tensor;
      ASSERT_NE((*outline)->Find(tensor), nullptr);
      EXPECT_EQ((*outline)->Find(tensor)->shape, entry.shape);
    }
  }
}

TEST(ModelInMemoryTest, RefusesWhatCannotBeMade) {
  ModelShape shape = *FindShape("tiny");
  shape.layers = 0;
  ParallelFor threads(1);
  EXPECT_EQ(ModelInMemory(shape, DType::kF16, 0, threads).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ModelOutline(shape, DType::kF16).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace skein::random_model
