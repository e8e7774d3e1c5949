#include "kernels/linear/product_plan.h"

#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/linear/product_cost.h"
#include "kernels/linear/product_group.h"

namespace skein {
namespace {

ProductGroup Group(int64_t rows, int64_t inputs, const std::vector<int64_t>& outputs) {
  ProductGroup group;
  group.rows = rows;
  for (const int64_t o : outputs) {
    group.products[group.count].inputs = inputs;
    group.products[group.count++].outputs = o;
  }
  return group;
}

TEST(ProductPlanTest, TextGivesThePlanBack) {
  for (const ProductTile& tile : ProductTiles()) {
    ProductPlan plan;
    plan.tiles = true;
    plan.tile = tile;
    EXPECT_EQ(ParsePlan(PlanText(plan)), plan) << PlanText(plan);
  }
  ProductPlan library;
  library.algorithm = {1, 0, ~uint64_t{0}, 0x123456789abcdef0, 5, 6, 7, 8};
  EXPECT_EQ(ParsePlan(PlanText(library)), library);
}

TEST(ProductPlanTest, TextThatIsNoPlanIsRefused) {
  for (const char* text : {"", "tile", "tile 128 128 1", "tile 128 128 1 0", "tile 128 128 1 0 1",
                           "tile 100 128 1 0 1 0", "tile 128 128 99 0 1 0", "tile a 128 1 0 1 0",
                           "library", "library 0", "library xyz", "other 128 128 1 0"}) {
    EXPECT_FALSE(ParsePlan(text).has_value()) << text;
  }
  EXPECT_FALSE(ParsePlan("library " + std::string(128, 'g')).has_value());
}

TEST(ProductPlanTest, NamesTellGroupsApart) {
  std::set<std::string> names;
  int groups = 0;
  const auto add = [&](const ProductGroup& group) {
    ++groups;
    names.insert(GroupName(group));
  };
  ProductGroup group = Group(128, 64, {8});
  add(group);
  add(Group(128, 64, {8, 8}));
  add(Group(128, 72, {8}));
  add(Group(256, 64, {8}));
  group.transposed = true;
  add(group);
  group.operand = DType::kBF16;
  add(group);
  group.products[0].bias = true;
  add(group);
  group.products[0].activation = Activation::kReluSquared;
  add(group);
  group.products[0].result = DType::kBF16;
  add(group);
  group.products[0] = {.inputs = 64, .outputs = 8, .accumulate = true};
  add(group);
  EXPECT_EQ(names.size(), groups);
}

TEST(ProductPlanTest, RowsShareBuckets) {
  struct Case {
    int64_t rows, bucket;
  };
  for (const Case& c : {Case{1, 64},
                        {64, 64},
                        {65, 128},
                        {128, 128},
                        {129, 256},
                        {1000, 1024},
                        {1024, 1024},
                        {1025, 1280},
                        {4096, 4096}}) {
    EXPECT_EQ(RowBucket(c.rows), c.bucket) << c.rows;
  }
}

TEST(ProductPlanTest, NarrowProductsAreOnePart) {
  const ProductGroup group = Group(512, 4096, {4096, 96, 4096, 512, 520});
  const std::vector<GroupPart> parts = PartsOf(group);
  ASSERT_EQ(parts.size(), 4);
  const std::vector<std::vector<int>> places = {{0}, {2}, {4}, {1, 3}};
  for (size_t p = 0; p < parts.size(); ++p) {
    SCOPED_TRACE(p);
    ASSERT_EQ(parts[p].group.count, places[p].size());
    EXPECT_EQ(parts[p].group.rows, 512);
    for (size_t i = 0; i < places[p].size(); ++i) {
      EXPECT_EQ(parts[p].places[i], places[p][i]);
      EXPECT_EQ(parts[p].group.products[i], group.products[places[p][i]]);
    }
  }
  EXPECT_EQ(PartsOf(Group(512, 4096, {96, 128})).size(), 2);
}

TEST(ProductPlanTest, OnlyWholeVectorsAreTaken) {
  EXPECT_TRUE(WholeVectors(Group(1, 8, {8, 4096})));
  EXPECT_FALSE(WholeVectors(Group(128, 20, {8})));
  EXPECT_FALSE(WholeVectors(Group(128, 64, {8, 97})));
  ProductGroup group = Group(128, 64, {8});
  group.operand = DType::kF32;
  EXPECT_FALSE(WholeVectors(group));
  group = Group(128, 64, {8});
  group.products[0].result = DType::kBF16;  // of fp16 operands
  EXPECT_FALSE(WholeVectors(group));
  group.products[0] = {
      .inputs = 64, .outputs = 8, .activation = Activation::kTanh, .accumulate = true};
  EXPECT_FALSE(WholeVectors(group));
}

struct Stage {
  ProductGroup group;
  ProductTile tile;
};

ProductGroup Transposed(ProductGroup group) {
  group.transposed = true;
  return group;
}

ProductTile Pair() { return {128, 256, 1, true}; }

// Of all tiles these were the fastest on an H100, or within 5% of it.
TEST(ProductPlanTest, PickedTilesAreThoseThatMeasuredFastest) {
  constexpr int kMultiprocessors = 132;
  const std::vector<int64_t> stage_a = {4096, 4096, 4096, 128, 128, 96, 480};
  for (const Stage& s : {Stage{Group(128, 4096, {4096}), {128, 128, 3}},
                         {Group(128, 4096, {16384}), {128, 128, 1}},
                         {Transposed(Group(128, 16384, {4096})), {128, 128, 3}},
                         {Group(128, 4096, stage_a), {128, 128, 1}},
                         {Group(384, 4096, stage_a), {128, 192, 1}},
                         {Group(384, 4096, {128, 128, 96, 480}), {128, 128, 4}},
                         {Group(512, 4096, {4096}), {128, 128, 1}},
                         {Group(512, 4096, {16384}), Pair()},
                         {Group(512, 4096, {4096, 4096, 4096}), {128, 192, 1}},
                         {Group(512, 4096, stage_a), Pair()},
                         {Group(512, 4096, {128, 128, 96, 480}), {128, 128, 4}},
                         {Group(2048, 4096, {4096}), Pair()},
                         {Group(2048, 4096, {16384}), Pair()},
                         {Group(2048, 4096, stage_a), Pair()},
                         {Group(2048, 2048, {8192}), Pair()}}) {
    const ProductTile tile = PickTile(s.group, kMultiprocessors);
    EXPECT_EQ(tile, s.tile) << GroupName(s.group) << ": " << tile.rows << "x" << tile.outputs
                            << " split " << tile.split;
    const std::vector<ProductTile> likely = LikelyTiles(s.group, kMultiprocessors);
    EXPECT_EQ(likely.front(), tile);
    EXPECT_LE(likely.size(), ProductTiles().size() / 2);
  }
}

// The library is worth a measurement, or even taken without, where it measured faster.
TEST(ProductPlanTest, TheLibraryIsTakenWhereItMeasuredFaster) {
  constexpr int kMultiprocessors = 132;
  EXPECT_TRUE(PickParts(Group(128, 4096, {4096}), kMultiprocessors));
  EXPECT_TRUE(PickParts(Group(512, 2048, {2048}), kMultiprocessors));
  EXPECT_TRUE(PickParts(Transposed(Group(2048, 16384, {4096})), kMultiprocessors));
  for (const ProductGroup& group :
       {Group(512, 4096, {16384}), Transposed(Group(384, 16384, {4096}))}) {
    EXPECT_TRUE(PartsAreLikely(group, kMultiprocessors)) << GroupName(group);
    EXPECT_FALSE(PickParts(group, kMultiprocessors)) << GroupName(group);
  }
  EXPECT_FALSE(PartsAreLikely(Group(512, 4096, {128, 128, 96, 480}), kMultiprocessors));
}

TEST(ProductPlanTest, OnlyProductsWithoutWorkAreNegligible) {
  EXPECT_TRUE(IsNegligible(Group(512, 256, {704})));
  EXPECT_FALSE(IsNegligible(Group(65, 2048, {2048})));
  EXPECT_FALSE(IsNegligible(Group(2048, 256, {704})));
}

// No wave of blocks leaves most of an H100 idle, whatever the model's size.
TEST(ProductPlanTest, PickedTilesFillTheDevice) {
  constexpr int kMultiprocessors = 132;
  for (const int64_t rows : {65, 128, 256, 512, 1024, 2048, 4096}) {
    for (const ProductGroup& group :
         {Group(rows, 4096, {4096, 4096, 4096}), Group(rows, 4096, {16384}),
          Group(rows, 16384, {4096}), Group(rows, 2048, {2048}), Group(rows, 2560, {10240})}) {
      SCOPED_TRACE(GroupName(group));
      const ProductTile tile = PickTile(group, kMultiprocessors);
      int64_t blocks = 0;
      for (const ProductShape& shape : group.shapes()) {
        blocks += (rows + tile.rows - 1) / tile.rows *
                  ((shape.outputs + tile.outputs - 1) / tile.outputs) * tile.split;
      }
      const int64_t wave = kMultiprocessors * tile.blocks;
      const int64_t waves = (blocks + wave - 1) / wave;
      EXPECT_GE(blocks, waves * wave * 3 / 10) << tile.rows << "x" << tile.outputs;
    }
  }
}

}  // namespace
}  // namespace skein
