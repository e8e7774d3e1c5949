#include "kernels/rope_table/rope_table.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

RopeTableArgs Make(TestTensors& t, const std::vector<int32_t>& positions, int64_t half,
                   double theta) {
  const int64_t rows = static_cast<int64_t>(positions.size());
  RopeTableArgs args;
  args.positions = t.Ints(positions);
  args.theta = theta;
  args.cosines = t.Output({rows, half});
  args.sines = t.Output({rows, half});
  return args;
}

Outputs Written(const RopeTableArgs& args) { return {args.cosines, args.sines}; }

TEST(RopeTableTest, AnglesAreExactForTruePositionsFarBeyondAnyTrainingLength) {
  for (const int64_t half : {4, 32, 48, 64}) {
    for (const double theta : {1e4, 1e6, 8e6, 1e7}) {
      SCOPED_TRACE(testing::Message() << half << " " << theta);
      const std::function<RopeTableArgs(TestTensors&)> make = [&](TestTensors& t) {
        return Make(t, {0, 1, 2, 3, 100, 4095, 8192, 65537, 1000003, 16777215, 200000000}, half,
                    theta);
      };
      ExpectNearReference<RopeTableArgs>(make, RopeTableCpu, RopeTableRef, Written, 1.2e-7);
      ExpectSameBitsEverywhere<RopeTableArgs>(make, RopeTableCpu, Written);
      SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<RopeTableArgs>(make, RopeTableCuda, RopeTableRef,
                                                               Written, 1.2e-7));
    }
  }
}

TEST(RopeTableTest, PositionZeroTurnsNothing) {
  ParallelFor threads(1);
  TestTensors tensors(1);
  const RopeTableArgs args = Make(tensors, {0}, 16, 1e6);
  RopeTableCpu(args, threads);
  EXPECT_EQ(Collect({args.cosines}), std::vector<float>(16, 1.0f));
  EXPECT_EQ(Collect({args.sines}), std::vector<float>(16, 0.0f));
}

TEST(RopeTableTest, BadArgumentsAreRefused) {
  TestTensors tensors(1);
  EXPECT_EQ(Make(tensors, {0}, 4, 1.0).Validate().message(), "rope_table: theta must be over 1");
  RopeTableArgs bad = Make(tensors, {0, 1}, 4, 1e4);
  bad.sines = tensors.Output({2, 3});
  EXPECT_EQ(bad.Validate().message(), "rope_table: sines: shape [2, 3], expected [2, 4]");
}

}  // namespace
}  // namespace skein
