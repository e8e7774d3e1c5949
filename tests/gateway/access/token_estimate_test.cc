#include "gateway/access/token_estimate.h"

#include "gtest/gtest.h"

#include "common/config/text_proto.h"
#include "tests/testing/fake_clock.h"

namespace skein {
namespace {

v1::GenerateRequest Request(const std::string& text) {
  v1::GenerateRequest request;
  EXPECT_TRUE(ParseTextProto(text, "request", request).ok());
  return request;
}

TEST(TokenEstimateTest, CountsThePromptAndWhatMayBeDrawn) {
  EXPECT_EQ(EstimateTokens(Request("prompt { text: '12345' } stopping { max_tokens: 100 }")), 102u);
  EXPECT_EQ(EstimateTokens(Request("prompt { tokens { ids: 1 ids: 2 ids: 3 } } n: 2")), 35u);
  EXPECT_EQ(EstimateTokens(Request("prompt { chat { turns { role: 'user' content: 'abcd' } } }"
                                   "stopping { max_tokens: 0 }")),
            2u);
}

class TokenMeterTest : public testing::Test {
 protected:
  TokenMeterTest() {
    config::v1::KeysFile keys;
    config::v1::ApiKey& key = *keys.add_key();
    key.set_name("a");
    key.add_sha256("8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8");
    key.add_role("inference");
    key.set_tokens_per_minute(1000);
    EXPECT_TRUE(access_.SetKeys(keys).ok());
    caller_ = *access_.Identify("Bearer alpha", Role::kInference);
  }
  Admission Admit(uint64_t tokens) { return *access_.Admit(caller_, "demo", {}, tokens); }
  std::string Left() { return access_.RateLimitHeaders(caller_)[1].second; }

  static v1::GenerateResponse Message(const std::string& text) {
    v1::GenerateResponse message;
    EXPECT_TRUE(ParseTextProto(text, "message", message).ok());
    return message;
  }

  FakeClock clock_;
  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  AccessControl access_{clock_, metrics_};
  Caller caller_;
};

TEST_F(TokenMeterTest, TheEndCorrectsTheEstimate) {
  {
    const Admission admission = Admit(500);
    EXPECT_EQ(Left(), "500");
    TokenMeter meter(admission);
    meter.OnMessage(Message("started { prompt_tokens: 30 }"));
    meter.OnMessage(Message("text: 'a' drawn: 2"));
    meter.OnMessage(Message("finish: FINISH_REASON_STOP drawn: 1"));
    EXPECT_EQ(Left(), "500");  // until then what it may still use is taken
    meter.OnMessage(Message("usage { prompt_tokens: 30 completion_tokens: 3 }"));
  }
  EXPECT_EQ(Left(), "967");
}

TEST_F(TokenMeterTest, WhatExceedsTheEstimateIsChargedAsItComes) {
  {
    const Admission admission = Admit(10);
    TokenMeter meter(admission);
    meter.OnMessage(Message("started { prompt_tokens: 8 }"));
    EXPECT_EQ(Left(), "990");
    meter.OnMessage(Message("drawn: 5"));
    EXPECT_EQ(Left(), "987");
    meter.OnMessage(Message("drawn: 100"));
    EXPECT_EQ(Left(), "887");
  }
  EXPECT_EQ(Left(), "887");
}

TEST_F(TokenMeterTest, ACancelledCallPaysForWhatWasDrawn) {
  {
    const Admission admission = Admit(500);
    TokenMeter meter(admission);
    meter.OnMessage(Message("started { prompt_tokens: 30 }"));
    meter.OnMessage(Message("drawn: 4"));
  }
  EXPECT_EQ(Left(), "966");
}

TEST_F(TokenMeterTest, ACallThatIsGivenUpPaysForThePromptThatAWorkerWasAskedToRead) {
  struct Case {
    const char* name;
    bool asked;
    const char* message;
    absl::StatusCode end;
    const char* left;
  };
  for (const Case& c : {
           Case{"gave up", true, "", absl::StatusCode::kCancelled, "960"},
           Case{"too late", true, "", absl::StatusCode::kDeadlineExceeded, "920"},
           Case{"told", true, "started { prompt_tokens: 30 }", absl::StatusCode::kCancelled, "890"},
           Case{"not asked", false, "", absl::StatusCode::kCancelled, "890"},
           Case{"refused", true, "", absl::StatusCode::kResourceExhausted, "890"},
           Case{"lost", true, "", absl::StatusCode::kUnavailable, "890"},
       }) {
    SCOPED_TRACE(c.name);
    {
      const Admission admission = Admit(500);
      TokenMeter meter(admission);
      if (c.asked) meter.OnAsked(40);
      if (*c.message != 0) meter.OnMessage(Message(c.message));
      meter.OnFailure(c.end);
    }
    EXPECT_EQ(Left(), c.left);
  }
}

TEST_F(TokenMeterTest, AUsageAloneIsEnough) {
  {
    const Admission admission = Admit(20);
    TokenMeter meter(admission);
    meter.OnMessage(Message("usage { prompt_tokens: 30 completion_tokens: 10 }"));
  }
  EXPECT_EQ(Left(), "960");
}

TEST_F(TokenMeterTest, ACallThatNeverRanCostsNoTokens) {
  { const Admission admission = Admit(500); }
  EXPECT_EQ(Left(), "1000");
}

}  // namespace
}  // namespace skein
