#include "common/tensor/tensor_view.h"

#include <vector>

#include "gtest/gtest.h"

namespace skein {
namespace {

TEST(ShapeTest, ElementsAndText) {
  EXPECT_EQ(NumElements({}), 1);
  EXPECT_EQ(NumElements({2, 0, 3}), 0);
  EXPECT_EQ(NumElements({2, 3, 4}), 24);
  EXPECT_EQ(ShapeString({2, 3}), "[2, 3]");
  EXPECT_EQ(ShapeString({}), "[]");
}

TEST(TensorViewTest, RowsAreSlicesOfTheFirstDimension) {
  std::vector<float> data = {0, 1, 2, 3, 4, 5};
  const TensorView<float> view(data.data(), {3, 2});
  EXPECT_EQ(view.size(), 6);
  EXPECT_EQ(view.stride0(), 2);
  EXPECT_EQ(view.row(2)[1], 5);
  const TensorView<const float> rows = view.Rows(1, 2);
  EXPECT_EQ(rows.dim(0), 2);
  EXPECT_EQ(rows[0], 2);
  EXPECT_EQ(view.Rows(3, 0).dim(0), 0);
}

TEST(TensorViewTest, AnAbsentTensorIsEmpty) {
  const TensorView<float> none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.size(), 0);
}

TEST(TensorViewDeathTest, RowsOutsideOfTheTensorAreOurOwnMistake) {
  std::vector<float> data(4);
  const TensorView<float> view(data.data(), {2, 2});
  EXPECT_DEATH(view.Rows(1, 2), "check failed");
}

}  // namespace
}  // namespace skein
