#include "kernels/wkv7/wkv7.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
    args.positions = tensors.Positions(args.sequences);
    args.state = tensors.RoundedState(args.sequences, heads * n * n);
    args.y = tensors.Output(shape);
    return args;
  };
}

// The state of every sequence, and y.
Outputs Written(const Wkv7Args& args) {
  Outputs outputs = {args.y};
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    const int64_t elements = args.r.dim(1) * args.r.dim(2) * args.r.dim(2);
    outputs.push_back(SlotView(args.state, args.sequences.slots[s], elements));
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
    // 17 rows of 64 channels go in chunks, with fp16 operands.
    SKEIN_CUDA_ONLY(ExpectNearReferenceOnCuda<Wkv7Args>(make, Wkv7Cuda, Wkv7Ref, Written,
                                                        c.lengths.size() == 3 ? 1e-3 : 5e-6));
  }
}

#if SKEIN_CUDA
// fp16 states are rounded once, by up to a last bit: 2^-10 of the largest value.
TEST(Wkv7Test, StatesOfSixteenBitsAreNearTheReference) {
  for (const int64_t n : {64, 96, 128}) {
    SCOPED_TRACE(n);
    for (const std::vector<int32_t>& lengths :
         {std::vector<int32_t>{1, 1, 1}, std::vector<int32_t>{1, 15, 16}}) {
      ExpectNearReferenceOnCuda<Wkv7Args>(Maker(3, n, lengths), Wkv7Cuda, Wkv7Ref, Written, 1.5e-3,
                                          DType::kF16);
    }
  }
}

// Where heads are many, few warps take one.
TEST(Wkv7Test, DecodesOfManySequencesAreNearTheReference) {
  for (const int sequences : {300, 550, 1100, 1700}) {
    SCOPED_TRACE(sequences);
    const std::vector<int32_t> lengths(sequences, 1);
    const auto make = Maker(2, 64, lengths);
    ExpectNearReferenceOnCuda<Wkv7Args>(make, Wkv7Cuda, Wkv7Ref, Written, 5e-6);
    ExpectNearReferenceOnCuda<Wkv7Args>(make, Wkv7Cuda, Wkv7Ref, Written, 1.5e-3, DType::kF16);
  }
}

// Prompts go in chunks, with products of fp16 operands.
TEST(Wkv7Test, PromptsInChunksAreNearTheReference) {
  for (const int64_t n : {64, 96, 128}) {
    for (const std::vector<int32_t>& lengths :
         {std::vector<int32_t>{17}, std::vector<int32_t>{63}, std::vector<int32_t>{64},
          std::vector<int32_t>{65, 1, 129, 16, 15}, std::vector<int32_t>{300, 17}}) {
      SCOPED_TRACE(absl::StrCat(n, ", ", lengths[0]));
      ExpectNearReferenceOnCuda<Wkv7Args>(Maker(2, n, lengths), Wkv7Cuda, Wkv7Ref, Written, 1e-3);
    }
  }
}

TEST(Wkv7Test, ChunksStandEqualRemovalKeysAndTheStrongestDecays) {
  enum Kind { kEqualKeys, kStrong, kStrongAndNone };
  for (const Kind kind : {kEqualKeys, kStrong, kStrongAndNone}) {
    SCOPED_TRACE(kind);
    const std::function<Wkv7Args(TestTensors&)> make = [&](TestTensors& tensors) {
      Wkv7Args args = Maker(2, 64, {150, 64})(tensors);
      const auto set = [](const TensorView<const float>& x, int64_t i, float value) {
        const_cast<float*>(x.data())[i] = value;
      };
      for (int64_t i = 0; i < args.w.size(); ++i) {
        set(args.w, i, kind == kEqualKeys || (kind == kStrongAndNone && i % 2 == 0) ? 1 : 0.5455f);
        if (kind != kEqualKeys) continue;
        set(args.q, i, 0.125f);  // of length 1, and a = 1
        set(args.b, i, 0.125f);
      }
      return args;
    };
    ExpectNearReferenceOnCuda<Wkv7Args>(make, Wkv7Cuda, Wkv7Ref, Written, 1e-3);
  }
}

TEST(Wkv7Test, StochasticRoundingIsUnbiased) {
  if (!HasGpu()) return;
  TestTensors tensors(1, PinnedAllocate, DType::kF16, DType::kF16);
  const std::vector<int32_t> lengths(512, 1);
  Wkv7Args args = Maker(1, 64, lengths)(tensors);
  const float value = 1.0f + 0.3f / 1024;  // between two neighbours, nearer to the lower one
  std::fill_n(const_cast<float*>(args.v.data()), args.v.size(), value);
  std::fill_n(const_cast<float*>(args.k.data()), args.k.size(), 1.0f);
  for (const auto* x : {&args.q, &args.b}) {
    std::fill_n(const_cast<float*>(x->data()), x->size(), 0.0f);
  }
  std::memset(args.state.base, 0, args.state.slot_stride * (2 * lengths.size() + 1));
  ASSERT_TRUE(Wkv7Cuda(args, TestCudaContext()).ok());
  ASSERT_TRUE(Synchronize().ok());
  double sum = 0;
  Outputs outputs = Written(args);
  outputs.erase(outputs.begin());
  const std::vector<float> states = Collect(outputs);
  for (const float state : states) sum += (state - 1.0) * 1024;
  EXPECT_NEAR(sum / static_cast<double>(states.size()), 0.3, 2e-3);
}

TEST(Wkv7Test, ARowHasTheSameBitsAloneAndInABatchAndPaddingIsLeftAlone) {
  if (!HasGpu()) return;
  for (const std::vector<int32_t>& lengths :
       {std::vector<int32_t>{1, 1, 1, 1}, std::vector<int32_t>{9, 70, 1, 33}}) {
    TestTensors alone(1, PinnedAllocate, DType::kF16, DType::kF16);
    TestTensors together(1, PinnedAllocate, DType::kF16, DType::kF16);
    const Wkv7Args batch = Maker(2, 64, lengths)(together);
    Wkv7Args one = Maker(2, 64, lengths)(alone);
    const int64_t elements = 2 * 64 * 64;
    // Sequence 1 alone, in another slot, which is that of sequence 2 in the batch.
    const int64_t begin = one.sequences.begin(1), rows = lengths[1];
    for (auto* x : {&one.r, &one.w, &one.k, &one.v, &one.q, &one.b}) *x = x->Rows(begin, rows);
    one.y = one.y.Rows(begin, rows);
    one.positions = one.positions.Rows(begin, rows);
    const int32_t from = one.sequences.slots[1], to = one.sequences.slots[2];
    char* base = static_cast<char*>(one.state.base);
    std::memcpy(base + to * one.state.slot_stride, base + from * one.state.slot_stride,
                one.state.slot_stride);
    one.sequences.row_begin = alone.Ints({0, lengths[1]});
    one.sequences.slots = alone.Ints({to});
    one.sequences.num_rows = one.sequences.max_rows = lengths[1];
    const std::vector<float> padding = Collect({SlotView(batch.state, 0, elements)});
    const_cast<int32_t&>(batch.sequences.slots[3]) = -1;
    const std::vector<float> untouched =
        Collect({SlotView(batch.state, 2, elements)});  // of sequence 3, were it not padding
    ASSERT_TRUE(Wkv7Cuda(one, TestCudaContext()).ok());
    ASSERT_TRUE(Wkv7Cuda(batch, TestCudaContext()).ok());
    ASSERT_TRUE(Synchronize().ok());
    EXPECT_TRUE(SameBits(Collect({one.y}), Collect({batch.y.Rows(begin, rows)})));
    EXPECT_TRUE(SameBits(Collect({SlotView(one.state, to, elements)}),
                         Collect({SlotView(batch.state, from, elements)})));
    EXPECT_TRUE(SameBits(Collect({SlotView(batch.state, 0, elements)}), padding));
    EXPECT_TRUE(SameBits(Collect({SlotView(batch.state, 2, elements)}), untouched));
  }
}
#endif

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
                           {},
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
