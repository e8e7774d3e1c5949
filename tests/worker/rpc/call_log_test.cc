#include "worker/rpc/call_log.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

CallInfo Call() {
  CallInfo call;
  call.request_id = "req-1";
  call.trace = {.trace_id = "t", .span_id = "s"};
  call.client = "ipv4:127.0.0.1:5";
  return call;
}

std::string Line(const CallEnd& end) {
  return TextLogLine("", "info", "request", CallLogFields(Call(), end));
}

TEST(CallLogTest, ALineTellsHowACallWent) {
  EXPECT_EQ(Line({.method = "Generate",
                  .model = "demo",
                  .status = absl::OkStatus(),
                  .usage = {.prompt_tokens = 12,
                            .cached_tokens = 0,
                            .completion_tokens = 34,
                            .queue_wait = absl::Microseconds(250),
                            .first_token = absl::Milliseconds(42),
                            .total = absl::Milliseconds(1500)},
                  .finish = FinishReason::kLength}),
            "level=info event=\"request\" request=req-1 trace_id=t span_id=s "
            "client=ipv4:127.0.0.1:5 method=Generate model=demo outcome=ok prompt_tokens=12 "
            "completion_tokens=34 finish_reason=length queue_ms=0.25 first_token_ms=42 "
            "total_ms=1500");
}

TEST(CallLogTest, ARefusedCallHasNoTimesOfItsOwn) {
  EXPECT_EQ(Line({.method = "Score",
                  .model = "demo",
                  .status = absl::ResourceExhaustedError("the queue is full"),
                  .usage = {},
                  .finish = std::nullopt}),
            "level=info event=\"request\" request=req-1 trace_id=t span_id=s "
            "client=ipv4:127.0.0.1:5 method=Score model=demo outcome=resource_exhausted "
            "prompt_tokens=0 completion_tokens=0 total_ms=0");
}

}  // namespace
}  // namespace skein
