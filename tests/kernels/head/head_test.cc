#include "kernels/head/head.h"

#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/op_testing.h"

namespace skein {
namespace {

HeadArgs Make(TestTensors& t, bool layer_norm) {
  HeadArgs args;
  args.x = t.Random({9, 45});
  args.rows = t.Ints({0, 3, 8});
  args.norm_weight = t.Random({45});
  if (layer_norm) args.norm_bias = t.Random({45});
  args.head = t.Matrix(103, 45, DType::kBF16);
  args.normed = t.Output({3, 45});
  args.logits = t.Output({3, 103});
  return args;
}

Outputs Written(const HeadArgs& args) { return {args.logits}; }

TEST(HeadTest, GivesLogitsOfTheWantedRowsWithEitherNorm) {
  for (const bool layer_norm : {false, true}) {
    const std::function<HeadArgs(TestTensors&)> make = [&](TestTensors& t) {
      return Make(t, layer_norm);
    };
    ExpectNearReference<HeadArgs>(make, HeadCpu, HeadRef, Written, 2e-6);
    ExpectSameBitsEverywhere<HeadArgs>(make, HeadCpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<HeadArgs>(make, HeadCuda, HeadRef, Written, 5e-6));
  }
}

#if SKEIN_CUDA
TEST(HeadTest, GivesLogitsOfFewOrManyRowsWithSixteenBitOperands) {
  for (const std::vector<int32_t>& rows :
       {std::vector<int32_t>{5}, {0, 3, 8}, {0, 1, 2, 3, 4, 5, 6, 7, 8}}) {
    for (const bool layer_norm : {false, true}) {
      SCOPED_TRACE(rows.size());
      const std::function<HeadArgs(TestTensors&)> make = [&](TestTensors& t) {
        HeadArgs args;
        args.x = t.Random({9, 768});
        args.rows = t.Ints(rows);
        args.norm_weight = t.Random({768});
        if (layer_norm) args.norm_bias = t.Random({768});
        args.head = t.Matrix(2003, 768, DType::kF16);
        args.normed = t.OutputOperand({args.rows.dim(0), 768});
        args.logits = t.Output({args.rows.dim(0), 2003});
        return args;
      };
      ExpectNearReferenceOnCuda<HeadArgs>(make, HeadCuda, HeadRef, Written, 2e-3, DType::kF16);
    }
  }
}
#endif

TEST(HeadTest, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  HeadArgs bad = Make(tensors, true);
  bad.logits = tensors.Output({9, 103});
  EXPECT_EQ(bad.Validate().message(),
            "head: product: projection: y: shape [9, 103], expected [3, 103]");
}

}  // namespace
}  // namespace skein
