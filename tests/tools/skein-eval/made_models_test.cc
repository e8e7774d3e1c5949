// What make-model writes must behave like a model: finite, and neither constant nor certain.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include <gtest/gtest.h>

#include "tests/testing/model_runner.h"
#include "tests/worker/weights/checkpoint_writer.h"
#include "tools/skein-eval/make_model.h"
#include "worker/models/registry.h"

namespace skein::eval {
namespace {

struct Summary {
  double mean = 0, deviation = 0;
};

Summary Summarize(const float* values, int64_t count) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += values[i];
    squares += static_cast<double>(values[i]) * values[i];
  }
  const double mean = sum / static_cast<double>(count);
  return {mean, std::sqrt(squares / static_cast<double>(count) - mean * mean)};
}

TEST(MadeModelsTest, GiveLogitsOfTheSizeOfRealOnes) {
  ParallelFor threads(2);
  struct Case {
    const char* shape;
    int64_t layers;
    DType dtype;
  };
  for (const Case& c :
       {Case{"tiny", 3, DType::kBF16}, Case{"tiny", 32, DType::kF16},
        Case{"hybrid-tiny", 4, DType::kBF16}, Case{"hybrid-tiny", 36, DType::kF32}}) {
    SCOPED_TRACE(absl::StrCat(c.shape, " ", c.layers));
    const TempFolder folder;
    MakeModelOptions options;
    options.shape = *random_model::FindShape(c.shape);
    options.shape.layers = c.layers;
    options.dtype = c.dtype;
    options.folder = folder.path();
    ASSERT_TRUE(MakeModel(options).ok());
    const auto files = ModelFiles::Open(folder.path());
    ASSERT_TRUE(files.ok()) << files.status();
    const auto model = LoadModel(**files, {}, Stream(threads));
    ASSERT_TRUE(model.ok()) << model.status();

    constexpr int kTokens = 300;
    const int64_t vocab = options.shape.vocab;
    std::mt19937 random(1);
    std::vector<int32_t> tokens(kTokens);
    for (int32_t& token : tokens) token = static_cast<int32_t>(random() % vocab);
    ModelRunner::Options run;
    run.max_tokens = kTokens;
    ModelRunner runner(**model, Stream(threads), run);
    const std::vector<float> logits = runner.Feed(0, tokens, 0);
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    ASSERT_EQ(logits.size(), static_cast<size_t>(kTokens * vocab));
    std::set<int64_t> best;
    for (int t = 0; t < kTokens; ++t) {
      const float* row = logits.data() + t * vocab;
      const Summary summary = Summarize(row, vocab);
      ASSERT_TRUE(std::isfinite(summary.deviation)) << "token " << t;
      ASSERT_NEAR(summary.deviation, 2.0, 1.0) << "token " << t;
      best.insert(std::max_element(row, row + vocab) - row);
    }
    EXPECT_GT(best.size(), static_cast<size_t>(kTokens / 4));
  }
}

}  // namespace
}  // namespace skein::eval
