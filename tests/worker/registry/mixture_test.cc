#include "worker/registry/mixture.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

constexpr int kMaxParts = 4;

StateMix Mix(const std::vector<float>& weights, bool keep_sum = false) {
  StateMix mix;
  mix.keep_sum = keep_sum;
  for (const float weight : weights) {
    mix.parts.push_back({"s" + std::to_string(mix.parts.size()), weight});
  }
  return mix;
}

TEST(MixtureTest, WeightsAreDividedByTheirSumAndZerosLeftOut) {
  struct Case {
    const char* name;
    StateMix mix;
    std::vector<std::pair<std::string, float>> parts;
  };
  for (const Case& c : {Case{"a lone weight is 1", Mix({0.25f}), {{"s0", 1}}},
                        Case{"halves", Mix({2, 2}), {{"s0", 0.5f}, {"s1", 0.5f}}},
                        Case{"a zero needs no row", Mix({3, 0, 1}), {{"s0", 0.75f}, {"s2", 0.25f}}},
                        Case{"guidance", Mix({1.5f, -0.5f}), {{"s0", 1.5f}, {"s1", -0.5f}}},
                        Case{"a negative sum", Mix({-1, -3}), {{"s0", 0.25f}, {"s1", 0.75f}}},
                        Case{"kept sum", Mix({2, 0, -2}, true), {{"s0", 2}, {"s2", -2}}},
                        Case{"too small to matter", Mix({3e38f, 1e-45f}), {{"s0", 1}}}}) {
    SCOPED_TRACE(c.name);
    const auto parts = NormaliseMix(c.mix, kMaxParts);
    ASSERT_TRUE(parts.ok()) << parts.status();
    std::vector<std::pair<std::string, float>> got;
    for (const MixPart& part : *parts) got.emplace_back(part.state, part.weight);
    EXPECT_EQ(got, c.parts);
  }
}

TEST(MixtureTest, WeightsThatMeanNothingAreRefused) {
  const float inf = std::numeric_limits<float>::infinity();
  struct Case {
    StateMix mix;
    const char* message;
  };
  for (const Case& c :
       {Case{Mix({}), "mix: 0 states, expected 1 to 4"},
        Case{Mix({1, 1, 1, 1, 1}), "mix: 5 states, expected 1 to 4"},
        Case{Mix({0, 0}), "all weights are 0"}, Case{Mix({0, 0}, true), "all weights are 0"},
        Case{Mix({1, -1}), "the weights' sum is 0"},
        Case{Mix({1e-7f, 1e-7f}), "the weights' sum is 2e-07"},
        Case{Mix({NAN, 1}), "weight nan of \"s0\""},
        Case{Mix({1, inf}, true), "weight inf of \"s1\""},
        Case{Mix({3e38f, -3e38f, 1e-3f}), "too large"}}) {
    const absl::Status status = NormaliseMix(c.mix, kMaxParts).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.message));
  }
}

}  // namespace
}  // namespace skein
