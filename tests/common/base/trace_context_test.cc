#include "common/base/trace_context.h"

#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::MatchesRegex;

constexpr char kTrace[] = "0af7651916cd43dd8448eb211c80319c";
constexpr char kHeader[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(TraceContextTest, AHeaderIsReadAndWrittenAlike) {
  const std::optional<TraceContext> trace = ParseTraceparent(kHeader);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, kTrace);
  EXPECT_EQ(trace->span_id, "b7ad6b7169203331");
  EXPECT_EQ(trace->flags, 1);
  EXPECT_EQ(FormatTraceparent(*trace), kHeader);
}

TEST(TraceContextTest, ALaterVersionMaySayMore) {
  for (const char* header : {"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
                             "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-more"}) {
    const std::optional<TraceContext> trace = ParseTraceparent(header);
    ASSERT_TRUE(trace.has_value()) << header;
    EXPECT_EQ(FormatTraceparent(*trace), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
  }
}

TEST(TraceContextTest, EverythingElseIsNoTrace) {
  for (const char* header : {
           "",
           "00",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
           "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
           "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
           "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
           "00-0af7651916cd43dd8448eb211c80319\xff-b7ad6b7169203331-01",
       }) {
    EXPECT_FALSE(ParseTraceparent(header).has_value()) << header;
  }
}

TEST(TraceContextTest, ATraceGoesOnWithANewSpan) {
  const TraceContext trace = ContinueTrace(kHeader);
  EXPECT_EQ(trace.trace_id, kTrace);
  EXPECT_NE(trace.span_id, "b7ad6b7169203331");
  EXPECT_EQ(trace.flags, 1);
  EXPECT_TRUE(ParseTraceparent(FormatTraceparent(trace)).has_value());
}

TEST(TraceContextTest, WithoutATraceANewOneBegins) {
  std::set<std::string> ids;
  for (const char* header : {"", "00-abc-def-01", ""}) {
    const TraceContext trace = ContinueTrace(header);
    EXPECT_THAT(FormatTraceparent(trace), MatchesRegex("00-[0-9a-f]{32}-[0-9a-f]{16}-00"));
    ids.insert(trace.trace_id);
    ids.insert(trace.span_id);
  }
  EXPECT_EQ(ids.size(), 6u);
}

}  // namespace
}  // namespace skein
