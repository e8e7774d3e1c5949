#include "kernels/adapter/mole.h"

#include <cmath>
#include <deque>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "kernels/adapter/mole_routing.h"
#include "tests/kernels/adapter/adapter_modules.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

constexpr int64_t kWidth = 40, kFfnWidth = 100;

struct Owner {
  std::deque<std::vector<MoleExperts::Expert>> experts;
  std::deque<MoleExperts> mixtures;
  std::deque<std::vector<MoleSegment>> segments;
};

const MoleExperts* RandomMixture(TestTensors& t, Owner& owner, int64_t count, int64_t active,
                                 int rule) {
  std::vector<MoleExperts::Expert> experts;
  for (int64_t e = 0; e < count; ++e) {
    experts.push_back({RandomModule(t, AdapterForm::kLowRank, kFfnWidth, kWidth, 3 + e),
                       RandomModule(t, AdapterForm::kLowRank, kWidth, kFfnWidth, 4)});
  }
  owner.experts.push_back(std::move(experts));
  owner.mixtures.push_back(
      {t.Matrix(count - 1, kWidth, DType::kF32), owner.experts.back(), active, rule});
  return &owner.mixtures.back();
}

MoleArgs Make(TestTensors& t, Owner& owner) {
  constexpr int64_t kRows = 20;
  owner.segments.push_back({{RandomMixture(t, owner, 4, 2, 2), 1, 5},
                            {RandomMixture(t, owner, 8, 8, 2), 6, 2, 0.5f},
                            {RandomMixture(t, owner, 5, 3, 1), 10, 4},
                            {RandomMixture(t, owner, 2, 1, 1), 14, 1},
                            {RandomMixture(t, owner, 3, 1, 2), 15, 2}});
  MoleArgs args;
  args.segments = owner.segments.back();
  args.x = t.Random({kRows, kWidth});
  args.base = t.Random({kRows, kFfnWidth});
  args.mixed = t.Output({kRows, kFfnWidth});
  args.side = t.Output({kRows, kWidth});
  args.workspace = t.Output({kRows, MoleWorkspace(args.segments)});
  return args;
}

Outputs Written(const MoleArgs& args) { return {args.mixed, args.side}; }

TEST(MoleTest, AgreesWithTheReference) {
  Owner owner;
  const std::function<MoleArgs(TestTensors&)> make = [&](TestTensors& t) { return Make(t, owner); };
  ExpectNearReference<MoleArgs>(make, MoleCpu, MoleRef, Written, 5e-6);
  ExpectSameBitsEverywhere<MoleArgs>(make, MoleCpu, Written);
}

TEST(MoleTest, ARowHasTheSameBitsAlone) {
  Owner owner;
  TestTensors t(2);
  const MoleArgs batch = Make(t, owner);
  ParallelFor threads(2);
  MoleCpu(batch, threads);
  for (const MoleSegment& segment : batch.segments) {
    for (int64_t row = segment.begin; row < segment.end(); ++row) {
      const MoleSegment alone = {segment.experts, 0, 1, segment.scale};
      MoleArgs one = batch;
      one.segments = {&alone, 1};
      one.x = batch.x.Rows(row, 1);
      one.base = batch.base.Rows(row, 1);
      one.mixed = t.Output({1, kFfnWidth});
      one.side = t.Output({1, kWidth});
      one.workspace = batch.workspace.Rows(row, 1);
      MoleCpu(one, threads);
      EXPECT_TRUE(SameBits(Collect(Written(one)),
                           Collect({batch.mixed.Rows(row, 1), batch.side.Rows(row, 1)})));
    }
  }
}

struct Chosen {
  int64_t expert;
  double weight;
};

std::vector<Chosen> Choose(int64_t active, int rule, const std::vector<float>& scores) {
  MoleExperts experts;
  experts.active = active;
  experts.rule = rule;
  std::vector<ExpertChoice> choices(active);
  choices.resize(ChooseExperts(experts, scores, choices));
  std::vector<Chosen> result;
  for (const ExpertChoice& choice : choices) result.push_back({choice.expert, choice.weight});
  return result;
}

void ExpectChosen(const std::vector<Chosen>& found, const std::vector<Chosen>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].expert, expected[i].expert);
    EXPECT_NEAR(found[i].weight, expected[i].weight, 1e-6);
  }
}

TEST(MoleRoutingTest, TheBestScoresAreChosenWithTheirSoftmax) {
  const double e = std::exp(-1.0);
  ExpectChosen(Choose(2, 2, {3, 1, 2}), {{1, 1 / (1 + e)}, {3, e / (1 + e)}});
  ExpectChosen(Choose(2, 2, {-1, -2, -3}), {{0, 1 / (1 + e)}, {1, e / (1 + e)}});
  ExpectChosen(Choose(1, 2, {-1, 0.5f}), {{2, 1}});
  // Equal scores: the lower index first, that of expert 0 too.
  ExpectChosen(Choose(2, 2, {0, 0, 0}), {{0, 0.5}, {1, 0.5}});
  ExpectChosen(Choose(2, 2, {-1, 4, 4, 4}), {{2, 0.5}, {3, 0.5}});
  ExpectChosen(Choose(3, 2, {0, 0}), {{0, 1 / 3.0}, {1, 1 / 3.0}, {2, 1 / 3.0}});
}

TEST(MoleRoutingTest, TheFirstRuleAlwaysHasExpertZero) {
  const double e = std::exp(-1.0);
  ExpectChosen(Choose(1, 1, {5, 6}), {{0, 1}});
  ExpectChosen(Choose(2, 1, {5, 6, 1}), {{0, 1}, {1, 1}});
  // Row 0 chooses nobody, but takes its share.
  ExpectChosen(Choose(2, 1, {7, 6, 1}), {{0, 1}});
  ExpectChosen(Choose(3, 1, {7, 1, 6}), {{0, 1}, {2, e / (1 + e)}});
}

TEST(MoleTest, WhatDoesNotFitIsRefused) {
  Owner owner;
  TestTensors t(3);
  const MoleArgs good = Make(t, owner);
  EXPECT_TRUE(good.Validate().ok()) << good.Validate();
  MoleArgs bad = good;
  bad.workspace = t.Output({20, 10});
  EXPECT_THAT(std::string(bad.Validate().message()),
              testing::StartsWith("mole: workspace: expected "));
  bad = good;
  bad.mixed = ActivationView(const_cast<void*>(good.base.data()), DType::kF32, good.base.shape());
  EXPECT_EQ(bad.Validate().message(), "mole: mixed: must not be base");
  MoleExperts broken = *good.segments[0].experts;
  broken.active = 5;
  const MoleSegment segment = {&broken, 0, 1};
  bad = good;
  bad.segments = {&segment, 1};
  EXPECT_EQ(bad.Validate().message(),
            "mole: segments: mixture of experts: active experts are more than there are, or none");
}

}  // namespace
}  // namespace skein
