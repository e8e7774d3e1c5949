#include "tools/random_model/shapes.h"

#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/random_model/config.h"

namespace skein::random_model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

int64_t Parameters(const ModelShape& shape) {
  int64_t count = 0;
  for (const PlannedTensor& tensor : PlanTensors(shape)) count += NumElements(tensor.shape);
  return count;
}

// The published sizes: docs/models/rwkv7.md, "Known sizes".
TEST(ModelShapesTest, HaveTheParametersOfTheRealModels) {
  struct Case {
    const char* name;
    int64_t parameters;
  };
  for (const Case& c :
       {Case{"0.1B", 191'034'624}, Case{"0.4B", 450'767'872}, Case{"1.5B", 1'527'404'544},
        Case{"2.9B", 2'947'735'040}, Case{"7.2B", 7'199'141'888}}) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Parameters(*FindShape(c.name)), c.parameters);
  }
}

// Counted by hand from the table of tensors in docs/models/hybrid.md.
TEST(ModelShapesTest, CountsTheHybridLayers) {
  const ModelShape shape = *FindShape("hybrid-8B");
  const int64_t D = 4096, E = 1024, F = 12288, V = 151936, N = 128;
  const int64_t common = 2 * D + 3 * F * D;
  const int64_t attention = 2 * D * D + 2 * E * D + 2 * N;
  const int64_t low_rank = (256 + 128 + 256) * 2 * D + (96 + 96) * (D + E);
  const int64_t recurrent = attention + low_rank + 2 * D + 2 * E + D;
  EXPECT_EQ(Parameters(shape), 36 * common + 9 * attention + 27 * recurrent + 2 * V * D + D);
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    if (shape.IsAttention(layer)) layers.push_back(layer);
  }
  EXPECT_THAT(layers, ElementsAre(3, 7, 11, 15, 19, 23, 27, 31, 35));
}

TEST(ModelShapesTest, RefusesWhatCannotBeMade) {
  EXPECT_THAT(std::string(FindShape("9B").status().message()),
              HasSubstr("\"9B\" is not known, expected one of tiny, 0.1B"));
  for (const double zeros : {0.4, 1.0}) {
    ModelShape shape = *FindShape("tiny");
    shape.ffn_zeros = zeros;
    EXPECT_EQ(ValidateShape(shape).code(), absl::StatusCode::kInvalidArgument);
  }
  for (const auto& [layers, vocab] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 512}, {1001, 512}, {1, 258}, {1, 200'001}}) {
    ModelShape shape = *FindShape("tiny");
    shape.layers = layers;
    shape.vocab = vocab;
    EXPECT_EQ(ValidateShape(shape).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(ModelConfigTest, IsJsonWithTheShape) {
  const boost::json::object config =
      boost::json::parse(ConfigJson(*FindShape("hybrid-8B"), DType::kF16)).as_object();
  EXPECT_EQ(config.at("rwkv_architecture").as_string(), "hxa079");
  EXPECT_EQ(config.at("num_hidden_layers").as_int64(), 36);
  EXPECT_EQ(config.at("num_key_value_heads").as_int64(), 8);
  EXPECT_EQ(config.at("transformer_layers").as_array().size(), 9u);
  EXPECT_EQ(config.at("rwkv_layers").as_array().size(), 27u);
  EXPECT_EQ(config.at("torch_dtype").as_string(), "float16");
}

}  // namespace
}  // namespace skein::random_model
