#include "worker/engine/batch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Requests and their sequences, as the step loop would hold them.
class BatchPlanTest : public testing::Test {
 protected:
  Sequence& Add(std::vector<int32_t> prompt, int64_t fed, int32_t slot, PageList pages = {}) {
    auto request = std::make_unique<ActiveRequest>();
    request->request.prompt = prompt;
    request->request.stopping.max_tokens = 5;
    request->forked = true;
    auto sequence = std::make_unique<Sequence>();
    sequence->request = request.get();
    sequence->tokens = std::move(prompt);
    sequence->num_fed = fed;
    sequence->branches.push_back({.slot = slot, .pages = std::move(pages)});
    requests_.push_back(std::move(request));
    sequences_.push_back(std::move(sequence));
    order_.push_back(sequences_.back().get());
    return *sequences_.back();
  }
  // One more branch of the sequence.
  static void Mix(Sequence& sequence, float weight, int32_t slot, PageList pages = {}) {
    std::vector<StateBranch>& branches = sequence.request->request.conditioning.branches;
    if (branches.empty()) branches.push_back({nullptr, 0.5f});
    branches.push_back({nullptr, weight});
    sequence.branches.push_back({.slot = slot, .pages = std::move(pages)});
  }
  const BatchPlan& Build(std::vector<PlannedRows> planned) {
    return builder_.Build(planned, order_);
  }

  BatchBuilder builder_{40, {}};
  std::vector<std::unique_ptr<ActiveRequest>> requests_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::vector<Sequence*> order_;
};

TEST_F(BatchPlanTest, RowsFollowTheSequencesInOrder) {
  Add({10, 11, 12}, 2, 4, {7});
  Add({20, 21, 22, 23, 24}, 1, 2, {3, 9});
  Add({30}, 0, 1);
  const BatchPlan& plan = Build({{0, 1}, {1, 3}});
  EXPECT_THAT(plan.tokens, ElementsAre(12, 21, 22, 23));
  EXPECT_THAT(plan.positions, ElementsAre(2, 1, 2, 3));
  EXPECT_THAT(plan.row_begin, ElementsAre(0, 1, 4));
  EXPECT_THAT(plan.slots, ElementsAre(4, 2));
  EXPECT_EQ(plan.max_pages, 2);
  EXPECT_THAT(plan.pages, ElementsAre(7, 0, 3, 9));
  EXPECT_THAT(plan.logit_rows, ElementsAre(0));  // the second prompt goes on
  EXPECT_EQ(plan.entries[0].draw, 0);
  EXPECT_EQ(plan.entries[1].draw, -1);
  EXPECT_EQ(plan.num_outputs(), 1);
}

TEST_F(BatchPlanTest, SequencesWithTheSameAdaptersAreNeighbours) {
  const auto adapter = std::make_shared<BoundAdapter>();
  const auto other = std::make_shared<BoundAdapter>();
  const auto replacing = std::make_shared<BoundAdapter>();
  replacing->replaces = true;
  for (int i = 0; i < 8; ++i) Add({10 * i, 10 * i + 1}, 0, i);
  const auto use = [&](int i, std::vector<AppliedAdapter> adapters) {
    order_[i]->request->request.conditioning.adapters = std::move(adapters);
  };
  use(0, {{replacing}});
  use(1, {{adapter}});
  use(3, {{adapter, 3.0f}});
  use(4, {{adapter}});
  Mix(*order_[4], 0.5f, 9);
  use(6, {{adapter}, {other, 0.5f}});
  use(7, {{adapter}, {other, 0.5f}});
  const BatchPlan& plan = Build({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 2}, {5, 2}, {6, 1}, {7, 1}});
  EXPECT_THAT(plan.slots, ElementsAre(2, 5, 1, 4, 9, 6, 7, 3, 0));
  EXPECT_THAT(plan.tokens, ElementsAre(20, 50, 51, 10, 40, 41, 40, 41, 60, 70, 30, 0));
  ASSERT_EQ(plan.adapters.size(), 5u);
  const auto expect = [&](size_t i, const BoundAdapter* one, int64_t first, int64_t count) {
    EXPECT_EQ(plan.adapters[i].adapter, one);
    EXPECT_EQ(plan.adapters[i].first_sequence, first);
    EXPECT_EQ(plan.adapters[i].num_sequences, count);
  };
  expect(0, adapter.get(), 2, 3);
  expect(1, adapter.get(), 5, 2);
  expect(2, other.get(), 5, 2);
  expect(3, adapter.get(), 7, 1);
  expect(4, replacing.get(), 8, 1);
  EXPECT_EQ(plan.adapters[2].scale, 0.5f);
  EXPECT_EQ(plan.adapters[3].scale, 3.0f);
  EXPECT_EQ(plan.adapter_rows, 9);
}

TEST_F(BatchPlanTest, FactorsBelongToTheBranchesOfTheirState) {
  auto state = std::make_shared<InitialState>();
  state->factors = std::make_unique<WkvFactors>();
  Add({10, 11}, 0, 0);
  Mix(Add({20, 21}, 0, 1), 0.5f, 2);
  order_[1]->request->request.conditioning.branches[1].state = state;
  Add({30, 31}, 0, 3);
  order_[2]->request->request.conditioning.branches = {{state, 1}};
  const BatchPlan& plan = Build({{0, 1}, {1, 2}, {2, 1}});
  ASSERT_EQ(plan.factors.size(), 2u);
  EXPECT_EQ(plan.factors[0].sequence, 2);
  EXPECT_EQ(plan.factors[1].sequence, 3);
  EXPECT_EQ(plan.factors[1].factors, state->factors.get());
}

TEST_F(BatchPlanTest, AScoredPromptHasAnOutputPerTokenThatFollows) {
  Sequence& sequence = Add({5, 6, 7, 8}, 1, 1);
  sequence.request->request.logprobs = LogprobsParams{.top = 2, .prompt = true};
  const BatchPlan& plan = Build({{0, 3}});
  EXPECT_THAT(plan.logit_rows, ElementsAre(0, 1, 2));
  EXPECT_EQ(plan.entries[0].num_scores, 2);
  EXPECT_EQ(plan.entries[0].draw, 2);
  EXPECT_EQ(plan.samples[0].given_token, 7);
  EXPECT_EQ(plan.samples[1].given_token, 8);
  EXPECT_EQ(plan.samples[1].num_top, 2);
  EXPECT_EQ(plan.samples[2].given_token, -1);
}

TEST_F(BatchPlanTest, NothingIsDrawnWithoutTokensToDraw) {
  Sequence& sequence = Add({5, 6}, 0, 1);
  sequence.request->request.stopping.max_tokens = 0;
  EXPECT_EQ(Build({{0, 2}}).num_outputs(), 0);
  sequence.request->request.logprobs = LogprobsParams{.prompt = true};
  const BatchPlan& plan = Build({{0, 2}});
  EXPECT_THAT(plan.logit_rows, ElementsAre(0));
  EXPECT_EQ(plan.entries[0].draw, -1);
}

TEST_F(BatchPlanTest, FurtherChoicesDrawFromTheFirstOnesOutput) {
  Sequence& forking = Add({5, 6}, 0, 1);
  forking.request->request.num_choices = 3;
  forking.request->forked = false;
  Add({9}, 0, 2);
  const BatchPlan& plan = Build({{0, 2}, {1, 1}});
  EXPECT_THAT(plan.logit_rows, ElementsAre(1, 2));
  EXPECT_THAT(plan.sampled_from, ElementsAre(0, 1, 0, 0));
  EXPECT_EQ(plan.entries[0].first_copy, 2);
  EXPECT_EQ(plan.entries[0].num_copies, 2);
  EXPECT_EQ(plan.entries[1].num_copies, 0);
  EXPECT_EQ(plan.samples[2].choice, 1u);
  EXPECT_EQ(plan.samples[3].choice, 2u);
}

TEST_F(BatchPlanTest, BranchesAreSequencesOfTheirOwnAndShareOneDraw) {
  Add({9}, 0, 1, {5});
  Sequence& mixture = Add({20, 21, 22}, 1, 2, {3, 9});
  Mix(mixture, 0.25f, 7, {4, 8});
  Mix(mixture, -2, 6, {1, 2});
  Add({8}, 0, 3, {6});
  const BatchPlan& plan = Build({{0, 1}, {1, 2}, {2, 1}});
  EXPECT_THAT(plan.tokens, ElementsAre(9, 21, 22, 21, 22, 21, 22, 8));
  EXPECT_THAT(plan.positions, ElementsAre(0, 1, 2, 1, 2, 1, 2, 0));
  EXPECT_THAT(plan.row_begin, ElementsAre(0, 1, 3, 5, 7, 8));
  EXPECT_THAT(plan.slots, ElementsAre(1, 2, 7, 6, 3));
  EXPECT_THAT(plan.pages, ElementsAre(5, 0, 3, 9, 4, 8, 1, 2, 6, 0));
  EXPECT_THAT(plan.logit_rows, ElementsAre(0, 2, 4, 6, 7));
  EXPECT_THAT(plan.sampled_from, ElementsAre(0, 1, 4));
  EXPECT_THAT(plan.mix_begin, ElementsAre(0, 3));
  EXPECT_THAT(plan.mix_rows, ElementsAre(1, 2, 3));
  EXPECT_THAT(plan.mix_weights, ElementsAre(0.5f, 0.25f, -2));
  EXPECT_EQ(plan.entries[1].draw, 1);
  EXPECT_EQ(plan.entries[2].draw, 2);
  EXPECT_EQ(plan.mixture_rows, 6);
  EXPECT_EQ(Build({{0, 1}}).num_mixed(), 0);
}

TEST_F(BatchPlanTest, ScoresAndFurtherChoicesAreOfTheMixture) {
  Sequence& mixture = Add({5, 6, 7}, 0, 1);
  Mix(mixture, 0.5f, 2);
  mixture.request->request.logprobs = LogprobsParams{.prompt = true};
  mixture.request->request.num_choices = 2;
  mixture.request->forked = false;
  const BatchPlan& plan = Build({{0, 3}});
  EXPECT_THAT(plan.logit_rows, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(plan.sampled_from, ElementsAre(0, 1, 2, 2));
  EXPECT_THAT(plan.mix_begin, ElementsAre(0, 2, 4, 6));
  EXPECT_THAT(plan.mix_rows, ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(plan.mix_weights, ElementsAre(0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f));
}

TEST_F(BatchPlanTest, ASingleStateIsMixedOnlyIfItsWeightIsNotOne) {
  Sequence& sequence = Add({5}, 0, 1);
  std::vector<StateBranch>& branches = sequence.request->request.conditioning.branches;
  branches.push_back({nullptr, 1});
  EXPECT_EQ(Build({{0, 1}}).num_mixed(), 0);
  branches[0].weight = 0.5f;
  const BatchPlan& plan = Build({{0, 1}});
  EXPECT_THAT(plan.mix_begin, ElementsAre(0, 1));
  EXPECT_THAT(plan.mix_weights, ElementsAre(0.5f));
  EXPECT_EQ(plan.mixture_rows, 0);
}

TEST_F(BatchPlanTest, ListsAndMasksBelongToTheirRows) {
  Sequence& first = Add({1}, 0, 1);
  first.request->request.sampling.banned_tokens = {3};
  first.request->request.sampling.logit_bias = {{4, 0.5f}};
  Sequence& second = Add({2}, 0, 2);
  second.request->request.stopping.end_tokens = {8, 9};
  second.request->request.stopping.min_tokens = 1;
  second.request->mask = {0b111, 0};
  Sequence& third = Add({2, 3}, 1, 3);
  third.num_drawn = 1;
  third.request->request.stopping.end_tokens = {8};
  third.request->request.stopping.min_tokens = 1;
  const BatchPlan& plan = Build({{0, 1}, {1, 1}, {2, 1}});
  EXPECT_THAT(plan.banned, ElementsAre(3, 8, 9));
  EXPECT_THAT(plan.banned_begin, ElementsAre(0, 1, 3, 3));
  EXPECT_THAT(plan.bias_begin, ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(plan.penalties, IsEmpty());
  EXPECT_EQ(plan.samples[0].mask, -1);
  EXPECT_EQ(plan.samples[1].mask, 0);
  EXPECT_THAT(plan.masks, ElementsAre(0b111, 0));
  EXPECT_EQ(plan.samples[2].step, 1u);
}

TEST_F(BatchPlanTest, TheVocabularyIsTheMaskOfRowsWithoutTheirOwn) {
  BatchBuilder builder(40, {0xfffffffe, 0xff});
  Add({1}, 0, 1).request->mask = {0b10, 0};
  Add({1}, 0, 2);
  const std::vector<PlannedRows> planned = {{0, 1}, {1, 1}};
  for (int repeat = 0; repeat < 2; ++repeat) {
    const BatchPlan& plan = builder.Build(planned, order_);
    EXPECT_EQ(plan.samples[0].mask, 1);
    EXPECT_EQ(plan.samples[1].mask, 0);
    EXPECT_THAT(plan.masks, ElementsAre(0xfffffffe, 0xff, 0b10, 0));
  }
}

}  // namespace
}  // namespace skein
