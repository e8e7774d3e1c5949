#include "kernels/embedding/embedding.h"

#include "gtest/gtest.h"

#include "kernels/cpu/reference.h"
#include "kernels/linear/linear.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

EmbeddingArgs Make(TestTensors& t, bool norm, int64_t width = 37) {
  EmbeddingArgs args;
  args.tokens = t.Ints({4, 0, 9, 4});
  args.table = t.Matrix(10, width, DType::kBF16);
  if (norm) {
    args.norm_weight = t.Random({width});
    args.norm_bias = t.Random({width});
  }
  args.x = t.Output({4, width});
  return args;
}

void Reference(const EmbeddingArgs& args) {
  const int64_t width = args.x.dim(1);
  for (int64_t m = 0; m < 4; ++m) {
    float* x = args.x.row(m);
    for (int64_t i = 0; i < width; ++i) x[i] = WeightAt(args.table, args.tokens[m], i);
    if (args.norm_weight.empty()) continue;
    LayerNormRef(x, args.norm_weight.data(), args.norm_bias.data(), args.eps, width, x);
  }
}

Outputs Written(const EmbeddingArgs& args) { return {args.x}; }

TEST(EmbeddingTest, LooksUpRowsAndNormsThemWhereAsked) {
  struct Case {
    bool norm;
    int64_t width;
  };
  for (const Case& c :
       {Case{false, 37}, Case{true, 37}, Case{false, 56}, Case{true, 56}, Case{true, 512}}) {
    SCOPED_TRACE(c.width);
    const double tolerance = c.norm ? 1e-5 : 0.0;
    const std::function<EmbeddingArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, c.norm, c.width);
    };
    ExpectNearReference<EmbeddingArgs>(make, EmbeddingCpu, Reference, Written, tolerance);
    ExpectSameBitsEverywhere<EmbeddingArgs>(make, EmbeddingCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<EmbeddingArgs>(make, EmbeddingCuda, Reference,
                                                             Written, tolerance));
  }
}

TEST(EmbeddingTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  EmbeddingArgs bad = Make(tensors, true);
  bad.norm_bias = TensorView<const float>();
  EXPECT_EQ(bad.Validate().message(), "embedding: norm needs weight and bias");
  bad = Make(tensors, false);
  bad.x = tensors.Output({3, 37});
  EXPECT_EQ(bad.Validate().message(), "embedding: x: shape [3, 37], expected [4, 37]");
}

}  // namespace
}  // namespace skein
