#include "gateway/endpoints/counted_responder.h"

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/gateway/endpoints/recording_responder.h"

namespace skein {
namespace {

class CountedResponderTest : public testing::Test {
 protected:
  std::shared_ptr<HttpResponder> Counted() {
    return CountAnswer(out_, metrics_, Clock::Real(), "/r", absl::Now());
  }
  // True if one answer with `status` was counted, and no other.
  bool CountedOnce(int status) const {
    const std::string text = registry_.Text();
    size_t lines = 0;
    for (size_t at = 0; (at = text.find("skein_gateway_requests_total{", at)) != std::string::npos;
         ++at)
      ++lines;
    return lines == 1 &&
           absl::StrContains(
               text, absl::StrCat("skein_gateway_requests_total{route=\"/r\",status=\"", status,
                                  "\"} 1")) &&
           absl::StrContains(text, "skein_gateway_request_seconds_count{route=\"/r\"} 1");
  }

  MetricsRegistry registry_;
  GatewayMetrics metrics_{registry_};
  std::shared_ptr<RecordingResponder> out_ = std::make_shared<RecordingResponder>();
};

TEST_F(CountedResponderTest, AWholeAnswerCountsItsStatus) {
  Counted()->Send({.status = 404, .body = "x", .headers = {}});
  EXPECT_TRUE(CountedOnce(404)) << registry_.Text();
  EXPECT_EQ(out_->response().status, 404);
}

TEST_F(CountedResponderTest, AStreamCountsWhenItIsClosed) {
  auto writer = Counted()->StartEvents();
  writer->Event("a");
  EXPECT_FALSE(absl::StrContains(registry_.Text(), "skein_gateway_requests_total{"));
  writer->Close();
  writer.reset();
  EXPECT_TRUE(CountedOnce(200)) << registry_.Text();
  EXPECT_EQ(out_->events(), std::vector<std::string>{"a"});
}

TEST_F(CountedResponderTest, AStreamThatIsDroppedIsAFault) {
  Counted()->StartEvents().reset();
  EXPECT_TRUE(CountedOnce(500)) << registry_.Text();
}

TEST_F(CountedResponderTest, AnAnswerThatIsDroppedIsAFault) {
  Counted().reset();
  EXPECT_TRUE(CountedOnce(500)) << registry_.Text();
}

TEST_F(CountedResponderTest, AClientThatLeavesCountsAs499AndTheHandlerHearsOfIt) {
  auto counted = Counted();
  bool told = false;
  counted->OnDisconnect([&told] { told = true; });
  auto writer = counted->StartEvents();
  out_->Leave();
  EXPECT_TRUE(told);
  writer->Close();
  EXPECT_TRUE(CountedOnce(499)) << registry_.Text();
}

TEST_F(CountedResponderTest, AClientMayLeaveBeforeAnyHandlerListens) {
  const auto counted = Counted();
  out_->Leave();
  counted->Send({.status = 503, .body = "", .headers = {}});
  EXPECT_TRUE(CountedOnce(499)) << registry_.Text();
}

}  // namespace
}  // namespace skein
