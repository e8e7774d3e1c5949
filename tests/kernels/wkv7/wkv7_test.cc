#include "kernels/wkv7/wkv7.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/testing/golden.h"
#include "tests/testing/op_testing.h"
#include "tests/testing/safetensors.h"

namespace skein {
namespace {

std::function<Wkv7Args(TestTensors&)> Maker(int64_t heads, int64_t n,
                                            const std::vector<int32_t>& lengths) {
  return [=](TestTensors& tensors) {
    Wkv7Args args;
    args.sequences = tensors.Sequences(lengths);
    const Shape shape = {args.sequences.rows(), heads, n};
    const float unit = 1.7f / std::sqrt(static_cast<float>(n));  // q is about 1 long
    args.r = tensors.Random(shape);
    args.w = tensors.Random(shape, 0.5455f, 1.0f);
    args.k = tensors.Random(shape);
    args.v = tensors.Random(shape);
    args.q = tensors.Random(shape, -unit, unit);
    args.b = tensors.Random(shape, -unit, unit);
    args.state = tensors.State(args.sequences, heads * n * n);
    args.y = tensors.Output(shape);
    return args;
  };
}

// The state of every sequence, and y.
Outputs Written(const Wkv7Args& args) {
  Outputs outputs = {args.y};
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    const int64_t elements = args.r.dim(1) * args.r.dim(2) * args.r.dim(2);
    outputs.emplace_back(args.state.slot(args.sequences.slots[s]), Shape{elements});
  }
  return outputs;
}

TEST(Wkv7Test, AgreesWithTheReferenceForAnyHeadSizeAndRaggedSequences) {
  struct Case {
    int64_t heads, n;
    std::vector<int32_t> lengths;
  };
  for (const Case& c : {Case{2, 64, {1, 17, 3}}, Case{1, 96, {5}}, Case{3, 128, {2, 9}},
                        Case{2, 8, {4, 1}}, Case{1, 13, {20}}, Case{1, 48, {33, 1, 1, 1}}}) {
    SCOPED_TRACE(c.n);
    const auto make = Maker(c.heads, c.n, c.lengths);
    ExpectNearReference<Wkv7Args>(make, Wkv7Cpu, Wkv7Ref, Written, 2e-6);
    ExpectSameBitsEverywhere<Wkv7Args>(make, Wkv7Cpu, Written);
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<Wkv7Args>(make, Wkv7Cuda, Wkv7Ref, Written, 5e-6));
  }
}

TEST(Wkv7Test, GivesTheReferenceOutputsAndStatesForExtremeDecays) {
  const auto path = GoldenPath("rwkv/wkv7_kernel.safetensors");
  if (!path) GTEST_SKIP() << "no golden data";
  const GoldenTensors golden(*path);
  ParallelFor threads(2);
  for (const char* prefix : {"T001.", "T005.", "T016.", "T017.", "T064.", "T129."}) {
    if (!golden.Has(std::string(prefix) + "r")) continue;
    SCOPED_TRACE(prefix);
    const auto load = [&](const char* name) { return golden.Floats(std::string(prefix) + name); };
    const Shape shape = golden.ShapeOf(std::string(prefix) + "r");
    std::vector<float> r = load("r"), w = load("logw"), k = load("k"), v = load("v"),
                       q = load("kk"), b = load("a"), state = load("S0"), y(r.size());
    for (size_t i = 0; i < w.size(); ++i) {
      w[i] = std::exp(w[i]);
      b[i] *= q[i];
    }
    const std::vector<int32_t> row_begin = {0, static_cast<int32_t>(shape[0])}, slots = {0};
    const auto view = [&](const std::vector<float>& x) {
      return TensorView<const float>(x.data(), shape);
    };
    const Wkv7Args args = {view(r),
                           view(w),
                           view(k),
                           view(v),
                           view(q),
                           view(b),
                           {{row_begin.data(), {2}}, {slots.data(), {1}}},
                           {state.data(), static_cast<int64_t>(state.size())},
                           {y.data(), shape}};
    ASSERT_TRUE(Wkv7(args, Stream(threads)).ok());
    EXPECT_LE(WorstError(y, load("y")), 1e-5);
    EXPECT_LE(WorstError(state, load("S1")), 1e-5);
  }
}

TEST(Wkv7Test, APromptInChunksLeavesWhatItLeavesWhole) {
  ParallelFor threads(2);
  TestTensors tensors(1), chunk_tensors(1);
  const Wkv7Args whole = Maker(2, 64, {33})(tensors);
  const Wkv7Args copy = Maker(2, 64, {33})(chunk_tensors);
  Wkv7Cpu(whole, threads);
  for (int64_t begin = 0; begin < 33; begin += 7) {
    const int64_t rows = std::min<int64_t>(7, 33 - begin);
    Wkv7Args part = copy;
    for (auto* x : {&part.r, &part.w, &part.k, &part.v, &part.q, &part.b}) {
      *x = x->Rows(begin, rows);
    }
    part.y = copy.y.Rows(begin, rows);
    part.sequences.row_begin = chunk_tensors.Ints({0, static_cast<int32_t>(rows)});
    Wkv7Cpu(part, threads);
  }
  EXPECT_TRUE(SameBits(Collect(Written(copy)), Collect(Written(whole))));
}

TEST(Wkv7Test, ShapesThatDoNotFitAreRefused) {
  TestTensors tensors(1);
  const Wkv7Args good = Maker(2, 16, {3})(tensors);
  Wkv7Args bad = good;
  bad.k = tensors.Random({3, 2, 15});
  EXPECT_EQ(bad.Validate().message(), "wkv7: k: shape [3, 2, 15], expected [3, 2, 16]");
  bad = good;
  bad.state.base = nullptr;
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
  bad = good;
  bad.r = tensors.Random({3, 1, 513});
  EXPECT_TRUE(absl::IsInvalidArgument(bad.Validate()));
}

}  // namespace
}  // namespace skein
