#include "kernels/sample/sampling_params.h"

#include <functional>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein {
namespace {

constexpr int64_t kVocab = 100;

TEST(SamplingParamsTest, DefaultsAndBoundsAreAccepted) {
  EXPECT_TRUE(SamplingParams{}.Validate(kVocab).ok());
  SamplingParams params;
  params.temperature = 0;
  params.top_p = 0;
  params.min_p = 1;
  params.top_k = -1;
  params.penalty_decay = 1e-6f;
  params.repetition_penalty = 0.01f;
  params.logit_bias = {{0, -100.0f}, {99, 100.0f}};
  params.allowed_tokens = {{0, 99}};
  EXPECT_TRUE(params.Validate(kVocab).ok());
}

TEST(SamplingParamsTest, RefusesEachFieldOutOfRangeByItsName) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  struct Case {
    const char* field;
    std::function<void(SamplingParams&)> spoil;
  };
  const Case cases[] = {
      {"temperature", [](auto& p) { p.temperature = -0.1f; }},
      {"temperature", [=](auto& p) { p.temperature = infinity; }},
      {"temperature", [=](auto& p) { p.temperature = nan; }},
      {"top_p", [](auto& p) { p.top_p = 1.01f; }},
      {"top_p", [=](auto& p) { p.top_p = nan; }},
      {"min_p", [](auto& p) { p.min_p = -0.01f; }},
      {"presence_penalty", [=](auto& p) { p.presence_penalty = nan; }},
      {"frequency_penalty", [=](auto& p) { p.frequency_penalty = -infinity; }},
      {"penalty_decay", [](auto& p) { p.penalty_decay = 0; }},
      {"penalty_decay", [](auto& p) { p.penalty_decay = 1.5f; }},
      {"repetition_penalty", [](auto& p) { p.repetition_penalty = 0; }},
      {"prompt_penalty_weight", [](auto& p) { p.prompt_penalty_weight = -1; }},
      {"penalty_exempt_tokens",
       [](auto& p) {
         p.penalty_exempt_tokens = {1, 100};
       }},
      {"banned_tokens", [](auto& p) { p.banned_tokens = {-1}; }},
      {"logit_bias",
       [](auto& p) {
         p.logit_bias = {{100, 1.0f}};
       }},
      {"logit_bias",
       [](auto& p) {
         p.logit_bias = {{1, 100.5f}};
       }},
      {"logit_bias",
       [=](auto& p) {
         p.logit_bias = {{1, nan}};
       }},
      {"allowed_tokens", [](auto& p) { p.allowed_tokens.emplace(); }},
      {"allowed_tokens",
       [](auto& p) {
         p.allowed_tokens = {{3, 100}};
       }},
  };
  for (const Case& c : cases) {
    SamplingParams params;
    c.spoil(params);
    const absl::Status status = params.Validate(kVocab);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.field;
    EXPECT_THAT(std::string(status.message()), testing::StartsWith(std::string(c.field) + ": "));
  }
}

}  // namespace
}  // namespace skein
