// The demo model's answers on a GPU against those on the CPU.
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "kernels/device/device.h"
#include "tests/testing/golden.h"
#include "tools/skein-eval/commands.h"

namespace skein::eval {
namespace {

TEST(CompareCudaTest, TheDemoModelAnswersAsOnTheCpu) {
  const absl::Status gpu = ProbeCuda();
  if (!gpu.ok()) {
    ASSERT_EQ(std::getenv("SKEIN_REQUIRE_GPU"), nullptr) << gpu;
    GTEST_SKIP() << gpu;
  }
  std::ostringstream out, err;
  const int status =
      RunSkeinEval({"compare", "--backend", "cuda", "--model", SourcePath("deploy/demo-model"),
                    "--prompts", SourcePath("tests/e2e/data/eval_prompts.jsonl")},
                   out, err);
  std::cout << out.str();
  EXPECT_EQ(status, 0) << err.str();
  EXPECT_THAT(out.str(), testing::HasSubstr("answers          200, "));
}

}  // namespace
}  // namespace skein::eval
