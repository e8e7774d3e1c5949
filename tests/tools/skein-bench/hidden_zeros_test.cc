#include "tools/skein-bench/hidden_zeros.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein::bench {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> TinyEngine(const std::string& shape, double zeros) {
  EngineOptions options;
  options.shape = *random_model::FindShape(shape);
  options.shape.ffn_zeros = zeros;
  options.backend = "cpu";
  options.threads = 2;
  auto engine =
      Engine::Create(options, {.max_rows = 64, .sequences = 8, .tokens_per_sequence = 64});
  EXPECT_TRUE(engine.ok()) << engine.status();
  return *std::move(engine);
}

TEST(HiddenZerosTest, FindsTheShareThatTheModelWasMadeWith) {
  for (const double wanted : {0.5, 0.7, 0.85}) {
    SCOPED_TRACE(wanted);
    const auto engine = TinyEngine("tiny", wanted);
    const auto zeros = MeasureHiddenZeros(*engine);
    ASSERT_TRUE(zeros.ok()) << zeros.status();
    EXPECT_EQ(zeros->by_row.size(), 8u);
    EXPECT_EQ(zeros->units, 3 * 512);
    EXPECT_NEAR(zeros->mean(), wanted, 0.03);
    const absl::Status status = CheckHiddenZeros(*zeros, wanted, 128);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_FALSE(CheckHiddenZeros(*zeros, 0.95, 4096).ok());
    EXPECT_NEAR(zeros->LiveShare(1), 1 - zeros->by_row[0], 1e-12);
    EXPECT_EQ(zeros->LiveShare(9), 1);
  }
}

TEST(HiddenZerosTest, RefusesRowsThatShareTheirZeros) {
  HiddenZeros zeros;
  zeros.units = 1 << 20;
  zeros.by_row.assign(8, 0.85);
  zeros.live.assign(8, 0.16);
  EXPECT_THAT(std::string(CheckHiddenZeros(zeros, 0.85, 4096).message()),
              HasSubstr("16.0% of the hidden units live in 2 rows"));
  zeros.live = {0.15, 0.24, 0.3, 0.36, 0.4, 0.45, 0.48, 0.51};
  EXPECT_TRUE(CheckHiddenZeros(zeros, 0.85, 4096).ok());
  zeros.by_row[3] = 0.862;
  EXPECT_THAT(std::string(CheckHiddenZeros(zeros, 0.85, 4096).message()),
              HasSubstr("row 3 has 86.20% hidden zeros, expected 85.00% within 1.00%"));
}

TEST(HiddenZerosTest, AHybridHasNone) {
  const auto engine = TinyEngine("hybrid-tiny", 0.5);
  const auto zeros = MeasureHiddenZeros(*engine);
  ASSERT_TRUE(zeros.ok()) << zeros.status();
  EXPECT_TRUE(zeros->by_row.empty());
  EXPECT_EQ(zeros->LiveShare(1), 1);
  EXPECT_TRUE(CheckHiddenZeros(*zeros, 0.5, 128).ok());
}

}  // namespace
}  // namespace skein::bench
