#include "tools/skein-bench/model_cost.h"

#include "absl/strings/str_cat.h"
#include <gtest/gtest.h>

namespace skein::bench {
namespace {

constexpr Ceilings kH100 = {3.0e12, 798e12};

// With fp16 states beside fp32 shifts, as the CUDA backend keeps them.
ModelCost CostWithHalfStates(const random_model::ModelShape& shape) {
  const int64_t wkv = shape.layers * shape.heads * shape.head_dim * shape.head_dim * 2;
  return CostOf(shape, DType::kF16, wkv, 0);
}

// Computed by hand: 6.93 G streamed weights, of which 2.15 G are value rows; 8.39 M state values.
TEST(ModelCostTest, GivesTheFloorsOfA7B) {
  const ModelCost cost = CostWithHalfStates(*random_model::FindShape("7.2B"));
  EXPECT_NEAR(cost.weight_bytes, 2 * 6.929e9, 0.01e9);
  struct Case {
    int64_t rows;
    double live;
    double tokens_per_second;
  };
  for (const Case& c : {Case{1, 0.15, 293}, Case{8, 0.5, 2004}, Case{32, 1, 6429},
                        Case{128, 1, 21154}, Case{256, 1, 34213}, Case{512, 1, 35025}}) {
    SCOPED_TRACE(c.rows);
    const double seconds = DecodeFloorSeconds(cost, c.rows, 0, c.live, kH100);
    EXPECT_NEAR(static_cast<double>(c.rows) / seconds / c.tokens_per_second, 1.0, 0.002);
  }
  EXPECT_NEAR(2048 / PrefillFloorSeconds(cost, 2048, 1, kH100), 59900, 100);
}

TEST(ModelCostTest, CountsTheKeysAndValuesOfAHybrid) {
  const random_model::ModelShape shape = *random_model::FindShape("hybrid-8B");
  const int64_t state = 27LL * 32 * 128 * 128 * 4, kv = 9LL * 2 * 8 * 128 * 2;
  const ModelCost cost = CostOf(shape, DType::kBF16, state, kv);
  EXPECT_EQ(cost.value_bytes, 0);
  const double without = DecodeFloorSeconds(cost, 32, 0, 1, kH100);
  const double with = DecodeFloorSeconds(cost, 32, 4096, 1, kH100);
  EXPECT_NEAR(with - without, 32 * 4096 * 36864.0 / 3.0e12, 1e-6);
  EXPECT_NEAR(32 / with, 4005, 40);
}

}  // namespace
}  // namespace skein::bench
