// AdapterIn and AdapterOut, around a product and alone.
#include <cstring>
#include <deque>
#include <iterator>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/adapter/adapter_in.h"
#include "kernels/adapter/adapter_out.h"
#include "kernels/linear/linear.h"
#include "tests/kernels/adapter/adapter_modules.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

constexpr int64_t kOutputs = 240, kInputs = 120;  // 24 divides both, 7 neither

struct Pair {
  AdapterInArgs in;
  AdapterOutArgs out;
};

// What the views of arguments lead to, for as long as a test runs.
struct Modules {
  std::deque<AdapterModule> modules;
  std::deque<std::vector<AdapterSegment>> segments;
};

// One module of each form, each with some rows, and stacks of several; rows between and behind them
// have none.
std::vector<AdapterSegment> EveryForm(TestTensors& t, Modules& owner) {
  std::vector<AdapterSegment> segments;
  int64_t row = 1;
  const auto add = [&](const AdapterModule& module, int64_t count,
                       std::optional<float> scale = {}) {
    owner.modules.push_back(module);
    segments.push_back({&owner.modules.back(), row, count, scale});
    row += count + std::ssize(segments) % 2;
  };
  const auto stack = [&](const AdapterModule& module, std::optional<float> scale = {}) {
    owner.modules.push_back(module);
    const AdapterSegment& below = segments.back();
    segments.push_back({&owner.modules.back(), below.begin, below.count, scale,
                        below.column + below.module->rank});
  };
  add(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 7), 3);
  add(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 33, DType::kF16), 1, 0.0f);
  add(RandomModule(t, AdapterForm::kInputScaled, kOutputs, kInputs, 16), 30);
  add(RandomModule(t, AdapterForm::kOutputScaled, kOutputs, kInputs, 5, DType::kF32), 2);
  add(RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 24), 4);
  add(RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 120), 1);
  add(RandomModule(t, AdapterForm::kInputSums, kOutputs, kInputs, 50), 3);
  add(RandomTiledSums(t, kOutputs, kInputs, 8, 6), 18);
  add(RandomTiledSums(t, kOutputs, kInputs, 8, 120), 2);
  add(AdapterModule(), 2);
  add(RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 24), 3);
  stack(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 7), 0.5f);
  stack(RandomTiledSums(t, kOutputs, kInputs, 8, 6));
  add(RandomModule(t, AdapterForm::kOutputScaled, kOutputs, kInputs, 9), 2);
  stack(RandomModule(t, AdapterForm::kInputSums, kOutputs, kInputs, 50));
  add(RandomModule(t, AdapterForm::kInputScaled, kOutputs, kInputs, 4), 17);
  stack(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 33, DType::kF16));
  add(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 5), 1);
  stack(RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 16), -1.0f);
  return segments;
}

Pair Make(TestTensors& t, Modules& owner, int64_t rows = 104) {
  owner.segments.push_back(EveryForm(t, owner));
  Pair pair;
  pair.in.segments = owner.segments.back();
  pair.in.outputs = kOutputs;
  pair.in.x = t.Random({rows, kInputs});
  pair.in.z = t.Output({rows, kInputs});
  pair.in.inner = t.Random({rows, InnerColumns(pair.in.segments) + 3});
  pair.out.segments = owner.segments.back();
  pair.out.inputs = kInputs;
  pair.out.inner = pair.in.inner;
  pair.out.y = t.Random({rows, kOutputs});
  return pair;
}

TEST(AdapterInTest, AgreesWithTheReferenceForEveryForm) {
  Modules owner;
  const std::function<AdapterInArgs(TestTensors&)> make = [&](TestTensors& t) {
    return Make(t, owner).in;
  };
  const auto written = [](const AdapterInArgs& args) { return Outputs{args.z, args.inner}; };
  ExpectNearReference<AdapterInArgs>(make, AdapterInCpu, AdapterInRef, written, 5e-6);
  ExpectSameBitsEverywhere<AdapterInArgs>(make, AdapterInCpu, written);
}

TEST(AdapterOutTest, AgreesWithTheReferenceForEveryForm) {
  Modules owner;
  const std::function<AdapterOutArgs(TestTensors&)> make = [&](TestTensors& t) {
    return Make(t, owner).out;
  };
  const auto written = [](const AdapterOutArgs& args) { return Outputs{args.y}; };
  ExpectNearReference<AdapterOutArgs>(make, AdapterOutCpu, AdapterOutRef, written, 5e-6);
  ExpectSameBitsEverywhere<AdapterOutArgs>(make, AdapterOutCpu, written);
}

// Product and hooks of some rows.
void RunAll(const Pair& pair, const WeightMatrix& weight, ParallelFor& threads) {
  AdapterInCpu(pair.in, threads);
  const Projection projection = {weight, {}, Activation::kNone, pair.in.z, pair.out.y};
  ProjectCpu({&projection, 1}, threads);
  AdapterOutCpu(pair.out, threads);
}

TEST(AdapterTest, ARowHasTheSameBitsAlone) {
  Modules owner;
  TestTensors t(3);
  const WeightMatrix weight = t.Matrix(kOutputs, kInputs, DType::kBF16);
  Pair batch = Make(t, owner);
  ParallelFor threads(2);
  RunAll(batch, weight, threads);
  for (size_t i = 0; i < batch.in.segments.size();) {
    const std::span<const AdapterSegment> stack = StackAt(batch.in.segments, i);
    i += stack.size();
    for (int64_t row = stack[0].begin; row < stack[0].end(); ++row) {
      std::vector<AdapterSegment> alone(stack.begin(), stack.end());
      for (AdapterSegment& segment : alone) {
        segment.begin = 0;
        segment.count = 1;
      }
      Pair one;
      one.in = batch.in;
      one.out = batch.out;
      one.in.segments = alone;
      one.out.segments = alone;
      one.in.x = batch.in.x.Rows(row, 1);
      one.in.z = t.Output({1, kInputs});
      one.in.inner = t.Output({1, InnerColumns(one.in.segments)});
      one.out.inner = one.in.inner;
      one.out.y = t.Output({1, kOutputs});
      RunAll(one, weight, threads);
      EXPECT_TRUE(SameBits(Collect({one.out.y}), Collect({batch.out.y.Rows(row, 1)})))
          << AdapterFormName(stack[0].module->form) << ", row " << row;
    }
  }
}

TEST(AdapterTest, RowsWithoutAnAdapterAreLeftAsTheyAre) {
  Modules owner;
  TestTensors t(4);
  const WeightMatrix weight = t.Matrix(kOutputs, kInputs, DType::kBF16);
  Pair batch = Make(t, owner);
  ParallelFor threads(2);
  RunAll(batch, weight, threads);
  ActivationView plain = t.Output({batch.in.x.dim(0), kOutputs});
  const Projection projection = {weight, {}, Activation::kNone, batch.in.x, plain};
  ProjectCpu({&projection, 1}, threads);
  int64_t row = 0;
  const auto expect_plain = [&](int64_t end) {
    for (; row < end; ++row) {
      EXPECT_TRUE(SameBits(Collect({plain.Rows(row, 1)}), Collect({batch.out.y.Rows(row, 1)})))
          << row;
    }
  };
  for (const AdapterSegment& segment : batch.in.segments) {
    expect_plain(segment.begin);
    row = segment.end();
  }
  expect_plain(batch.in.x.dim(0));
}

TEST(AdapterTest, TheInputNeedsNoCopyUnlessAModuleChangesIt) {
  TestTensors t(5);
  const AdapterModule module = RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 4);
  const AdapterSegment segment = {&module, 0, 2};
  AdapterInArgs args;
  args.segments = {&segment, 1};
  args.outputs = kOutputs;
  args.x = t.Random({2, kInputs});
  args.inner = t.Output({2, 4});
  EXPECT_TRUE(args.Validate().ok()) << args.Validate();
  ParallelFor threads(1);
  AdapterInCpu(args, threads);
  const AdapterModule changing = RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 4);
  const AdapterSegment needs = {&changing, 0, 2};
  args.segments = {&needs, 1};
  EXPECT_EQ(args.Validate().message(), "adapter_in: z: missing, though a module changes its input");
}

TEST(AdapterTest, WhatDoesNotFitIsRefused) {
  Modules owner;
  TestTensors t(6);
  const Pair good = Make(t, owner);
  EXPECT_TRUE(good.in.Validate().ok()) << good.in.Validate();
  EXPECT_TRUE(good.out.Validate().ok()) << good.out.Validate();
  struct Case {
    const char* name;
    AdapterModule module;
    AdapterSegment segment;
    const char* message;
  };
  const AdapterModule lora = RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 4);
  AdapterModule broken = lora;
  broken.down = t.Matrix(3, kInputs, DType::kBF16);
  const std::vector<Case> cases = {
      {"merged only",
       RandomModule(t, AdapterForm::kOutputBlocks, kOutputs, kInputs, 4),
       {nullptr, 0, 1},
       "adapter_in: segments: output blocks can only be merged"},
      {"other width",
       RandomModule(t, AdapterForm::kLowRank, kOutputs, 80, 4),
       {nullptr, 0, 1},
       "adapter_in: segments: module of 240 outputs and 80 inputs, expected 240 and 120"},
      {"broken",
       broken,
       {nullptr, 0, 1},
       "adapter_in: segments: low rank: down: shape [3, 120], expected [4, 120]"},
      {"rows",
       lora,
       {nullptr, 103, 2},
       "adapter_in: segments: segment of rows 103 to 105, expected a range from 0 to 104"},
      {"scale",
       RandomModule(t, AdapterForm::kInputScaled, kOutputs, kInputs, 4),
       {nullptr, 0, 1, 1.0f},
       "adapter_in: segments: a scale of its own, but the module is low rank, inputs scaled"},
      {"rank",
       RandomModule(t, AdapterForm::kLowRank, kOutputs, kInputs, 130),
       {nullptr, 0, 1},
       "adapter_in: inner: expected a column for each rank"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    AdapterInArgs args = good.in;
    AdapterSegment segment = c.segment;
    segment.module = &c.module;
    args.segments = {&segment, 1};
    EXPECT_EQ(args.Validate().message(), c.message);
  }
  const auto message = [&](const std::vector<AdapterSegment>& segments) {
    AdapterOutArgs args = good.out;
    args.segments = segments;
    return std::string(args.Validate().message());
  };
  EXPECT_EQ(message({{&lora, 0, 3}, {&lora, 2, 3}}),
            "adapter_out: segments: segment of rows 2 to 5, expected a range from 3 to 104");
  EXPECT_EQ(message({{&lora, 0, 3}, {&lora, 0, 3}}),
            "adapter_out: segments: column 0, expected at least 4");
  const AdapterModule blocks = RandomModule(t, AdapterForm::kInputBlocks, kOutputs, kInputs, 4);
  EXPECT_EQ(message({{&lora, 0, 3}, {&blocks, 0, 3, {}, 4}}),
            "adapter_out: segments: input blocks behind another module, expected in front of it");
  EXPECT_EQ(message({{&lora, 0, 3, {}, 50}, {&lora, 0, 3, {}, 128}}),
            "adapter_out: inner: expected a column for each rank");
}

}  // namespace
}  // namespace skein
