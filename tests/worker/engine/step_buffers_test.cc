// What a staged plan looks like where the stream computes; here that is the host.
#include "worker/engine/step_buffers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {
namespace {

using testing::ElementsAre;

template <typename T>
std::vector<std::remove_const_t<T>> ValuesOf(const TensorView<T>& view) {
  return {view.data(), view.data() + view.size()};
}

class StepBuffersTest : public testing::Test {
 protected:
  // Decodes of a plain sequence, of a mixture of three states and of a plain one again.
  StepBuffersTest() : buffers_(*StepBuffers::Create({12, 8, 12}, Stream())) {
    plan_.tokens = {5, 6, 6, 6, 7};
    plan_.positions = {1, 2, 2, 2, 3};
    plan_.row_begin = {0, 1, 2, 3, 4, 5};
    plan_.slots = {4, 1, 2, 3, 5};
    plan_.max_rows = 1;
    plan_.logit_rows = {0, 1, 2, 3, 4};
    plan_.mix_begin = {0, 3};
    plan_.mix_rows = {1, 2, 3};
    plan_.mix_weights = {0.5f, 0.75f, -0.25f};
    plan_.sampled_from = {0, 1, 4};
    plan_.samples.resize(3);
    plan_.penalty_begin = {0, 1, 1, 2};
    plan_.penalties.resize(2);
    plan_.bias_begin = plan_.banned_begin = {0, 0, 0, 0};
  }
  void Unmix() {
    plan_.mix_begin = {0};
    plan_.mix_rows.clear();
    plan_.mix_weights.clear();
    plan_.samples.resize(5);
    plan_.sampled_from = {0, 1, 2, 3, 4};
    plan_.penalty_begin = {0, 1, 1, 2, 2, 2};
    plan_.bias_begin = plan_.banned_begin = {0, 0, 0, 0, 0, 0};
  }

  std::unique_ptr<StepBuffers> buffers_;
  BatchPlan plan_;
};

TEST_F(StepBuffersTest, AStepAsItIsHasThePlansOutputsAndGroups) {
  ASSERT_TRUE(buffers_->Stage(plan_, 0).ok());
  EXPECT_THAT(ValuesOf(buffers_->Batch().slots), ElementsAre(4, 1, 2, 3, 5));
  EXPECT_THAT(ValuesOf(buffers_->Batch().logit_rows), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(buffers_->num_outputs(), 3);
  EXPECT_EQ(buffers_->num_mixed(), 1);
  const MixLogitsArgs mixing = buffers_->Mixing();
  EXPECT_THAT(ValuesOf(mixing.group_begin), ElementsAre(0, 3));
  EXPECT_THAT(ValuesOf(mixing.rows), ElementsAre(1, 2, 3));
  EXPECT_THAT(ValuesOf(mixing.weights), ElementsAre(0.5f, 0.75f, -0.25f));
  EXPECT_THAT(ValuesOf(buffers_->Sampling().logits_row), ElementsAre(0, 1, 4));
}

TEST_F(StepBuffersTest, AFilledDecodeHasShapesThatDependOnItsSizeAlone) {
  ASSERT_TRUE(buffers_->Stage(plan_, 8).ok());
  EXPECT_THAT(ValuesOf(buffers_->Batch().slots), ElementsAre(4, 1, 2, 3, 5, -1, -1, -1));
  EXPECT_THAT(ValuesOf(buffers_->Batch().row_begin), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(ValuesOf(buffers_->Batch().logit_rows), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  const MixLogitsArgs mixing = buffers_->Mixing();
  EXPECT_THAT(ValuesOf(mixing.group_begin), ElementsAre(0, 3, 3, 3, 3, 3, 3, 3, 3));
  EXPECT_EQ(mixing.rows.size(), 8);
  EXPECT_EQ(mixing.weights.size(), 8);
  const SampleArgs sampling = buffers_->Sampling();
  ASSERT_EQ(sampling.rows.size(), 8);
  for (int64_t i = 0; i < 8; ++i) EXPECT_EQ(sampling.rows[i].padding, i >= 3) << i;
  EXPECT_THAT(ValuesOf(sampling.penalty_begin), ElementsAre(0, 1, 1, 2, 2, 2, 2, 2, 2));
}

TEST_F(StepBuffersTest, PlainDecodesMixNothing) {
  ASSERT_TRUE(buffers_->Stage(plan_, 8).ok());
  Unmix();
  ASSERT_TRUE(buffers_->Stage(plan_, 6).ok());
  EXPECT_EQ(buffers_->num_mixed(), 0);
  EXPECT_EQ(buffers_->num_outputs(), 6);
  EXPECT_EQ(buffers_->num_model_outputs(), 6);
  EXPECT_THAT(ValuesOf(buffers_->Batch().slots), ElementsAre(4, 1, 2, 3, 5, -1));
  EXPECT_TRUE(buffers_->Sampling().rows[5].padding);
}

TEST_F(StepBuffersTest, ADecodeOfNobodyHasAllItsOutputs) {
  BatchPlan nobody;
  nobody.row_begin = nobody.penalty_begin = nobody.bias_begin = nobody.banned_begin = {0};
  nobody.max_rows = 1;
  ASSERT_TRUE(buffers_->Stage(nobody, 4).ok());
  EXPECT_EQ(buffers_->num_outputs(), 4);
  for (int64_t i = 0; i < 4; ++i) EXPECT_TRUE(buffers_->Sampling().rows[i].padding);
}

}  // namespace
}  // namespace skein
