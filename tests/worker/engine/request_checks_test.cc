#include "worker/engine/request_checks.h"

#include <cmath>
#include <functional>
#include <string>

#include "absl/time/clock.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/collecting_sink.h"
#include "tests/testing/fake_tokenizer.h"

namespace skein {
namespace {

constexpr int64_t kVocab = 100;

GenerationRequest ValidRequest() {
  GenerationRequest request;
  request.prompt = {1, 99};
  request.stopping.max_tokens = 5;
  request.sink = std::make_shared<CollectingSink>();
  return request;
}

TEST(RequestChecksTest, RefusesWhatWouldReachOutsideTheModel) {
  EXPECT_TRUE(CheckRequest(ValidRequest(), kVocab).ok());
  struct Case {
    const char* field;
    std::function<void(GenerationRequest&)> spoil;
  };
  for (const Case& c : {Case{"prompt", [](auto& r) { r.prompt.clear(); }},
                        Case{"prompt", [](auto& r) { r.prompt[1] = 100; }},
                        Case{"prompt", [](auto& r) { r.prompt[0] = -1; }},
                        Case{"temperature", [](auto& r) { r.sampling.temperature = -1; }},
                        Case{"stop_tokens", [](auto& r) { r.stopping.end_tokens = {100}; }},
                        Case{"max_tokens", [](auto& r) { r.stopping.max_tokens = -1; }},
                        Case{"n", [](auto& r) { r.num_choices = 0; }},
                        Case{"logprobs", [](auto& r) { r.logprobs = LogprobsParams{.top = 21}; }},
                        Case{"logprobs", [](auto& r) { r.logprobs = LogprobsParams{.top = -1}; }},
                        Case{"sink", [](auto& r) { r.sink = nullptr; }}}) {
    GenerationRequest request = ValidRequest();
    c.spoil(request);
    const absl::Status status = CheckRequest(request, kVocab);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::StartsWith(std::string(c.field) + ": "));
  }
}

TEST(RequestChecksTest, WeightsOfStatesAreFiniteAndNotBeyondReason) {
  GenerationRequest request = ValidRequest();
  request.conditioning.branches = {{nullptr, 1.5f}, {nullptr, -0.5f}};
  EXPECT_TRUE(CheckRequest(request, kVocab).ok());
  for (const float weight : {NAN, INFINITY, -INFINITY, 1e7f}) {
    request.conditioning.branches[1].weight = weight;
    const absl::Status status = CheckRequest(request, kVocab);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), testing::StartsWith("state weight: "));
  }
}

TEST(RequestChecksTest, RefusesWhatCouldNeverFit) {
  struct Case {
    int choices, branches;
    int64_t max_tokens;
    RequestCapacity capacity;
    const char* message;  // null: it fits
  };
  for (const Case& c : {
           Case{1, 1, 5, {1, 1, 7}, nullptr},
           Case{1,
                1,
                5,
                {1, 1, 6},
                "max_tokens: 5 beside a prompt of 2 tokens, this worker's memory holds 6"},
           Case{1,
                1,
                INT64_MAX,
                {1, 1, 1000},
                "max_tokens: 9223372036854775807 beside a prompt of 2 tokens, this worker's memory "
                "holds 1000"},
           Case{3, 1, 5, {3, 1, 7}, nullptr},
           Case{3, 1, 5, {2, 1, 7}, "n: 3 choices, this worker runs at most 2"},
           Case{2, 4, 5, {8, 4, 7}, nullptr},
           Case{1, 4, 5, {8, 3, 7}, "states: a mixture of 4, this worker mixes at most 3"},
           Case{2,
                4,
                5,
                {7, 4, 7},
                "n: 2 choices of 4 states each, this worker runs at most 7 states"},
           Case{1,
                4,
                6,
                {8, 4, 7},
                "max_tokens: 6 beside a prompt of 2 tokens, this worker's memory holds 7 for each "
                "of 4 states"},
       }) {
    SCOPED_TRACE(c.message == nullptr ? "fits" : c.message);
    GenerationRequest request = ValidRequest();
    request.num_choices = c.choices;
    request.stopping.max_tokens = c.max_tokens;
    if (c.branches > 1) request.conditioning.branches.resize(c.branches);
    const absl::Status status = CheckFits(request, c.capacity);
    EXPECT_EQ(status.ok(), c.message == nullptr);
    if (status.ok()) continue;
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
}

TEST(RequestChecksTest, RefusesLimitsThatCannotWork) {
  EXPECT_TRUE(CheckLimits({}).ok());
  for (const EngineLimits& limits :
       {EngineLimits{.max_sequences = 0}, EngineLimits{.max_queue = 0},
        EngineLimits{.max_rows_per_step = 1}, EngineLimits{.prefill_chunk = 0},
        EngineLimits{.page_tokens = 0}}) {
    EXPECT_EQ(CheckLimits(limits).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(RequestChecksTest, TheVocabularyMaskNamesIdsThatHaveAToken) {
  EXPECT_TRUE(VocabularyMask(nullptr, 40).empty());
  const FakeTokenizer complete(std::vector<std::string>(40, "x"));
  EXPECT_TRUE(VocabularyMask(&complete, 40).empty());
  const FakeTokenizer holes({"", "a", "b", "", "c"});
  EXPECT_THAT(VocabularyMask(&holes, 40), testing::ElementsAre(0b10110, 0));
}

TEST(RequestChecksTest, AllowedTokensMustAlsoExist) {
  GenerationRequest request = ValidRequest();
  request.sampling.allowed_tokens = {{1, 3, 33}};
  const auto active = Activate(request, {0b10110, 0xffffffff, 0, 0}, kVocab, absl::Now());
  EXPECT_THAT(active->mask, testing::ElementsAre(0b10, 0b10, 0, 0));
}

}  // namespace
}  // namespace skein
