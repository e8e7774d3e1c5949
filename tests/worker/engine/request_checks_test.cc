#include "worker/engine/request_checks.h"

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

TEST(RequestChecksTest, OneStateOfWeightOneIsAllThatIsTaken) {
  GenerationRequest request = ValidRequest();
  request.conditioning.branches = {{nullptr, 1}};
  EXPECT_TRUE(CheckRequest(request, kVocab).ok());
  request.conditioning.branches[0].weight = 0.5f;
  EXPECT_EQ(CheckRequest(request, kVocab).code(), absl::StatusCode::kUnimplemented);
  request.conditioning.branches = {{nullptr, 0.5f}, {nullptr, 0.5f}};
  EXPECT_EQ(CheckRequest(request, kVocab).code(), absl::StatusCode::kUnimplemented);
}

TEST(RequestChecksTest, RefusesWhatCouldNeverFit) {
  GenerationRequest request = ValidRequest();
  EXPECT_TRUE(CheckFits(request, 1, 7).ok());
  EXPECT_EQ(CheckFits(request, 1, 6).code(), absl::StatusCode::kInvalidArgument);
  request.stopping.max_tokens = INT64_MAX;
  EXPECT_EQ(CheckFits(request, 1, 1000).code(), absl::StatusCode::kInvalidArgument);
  request = ValidRequest();
  request.num_choices = 3;
  EXPECT_TRUE(CheckFits(request, 3, 7).ok());
  EXPECT_EQ(CheckFits(request, 2, 7).code(), absl::StatusCode::kInvalidArgument);
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
