#include "tools/skeinctl/sse_parser.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace skein::ctl {
namespace {

using ::testing::ElementsAreArray;

struct Case {
  const char* name;
  std::string bytes;
  std::vector<std::string> events;
};

const Case kCases[] = {
    {"one event", "data: a\n\n", {"a"}},
    {"two events", "data: a\n\ndata: b\n\n", {"a", "b"}},
    {"no blank after the colon", "data:a\n\n", {"a"}},
    {"only one blank is taken off", "data:  a\n\n", {" a"}},
    {"carriage returns", "data: a\r\n\r\ndata: b\r\n\r\n", {"a", "b"}},
    {"comments", ": keep-alive\n\ndata: a\n: x\n\n", {"a"}},
    {"other fields", "event: e\nid: 1\nretry: 5\ndata: a\n\n", {"a"}},
    {"several data lines", "data: a\ndata: b\n\n", {"a\nb"}},
    {"empty data is an event", "data:\n\n", {""}},
    {"no end, no event", "data: a\n", {}},
    {"UTF-8", "data: {\"x\":\"\xc3\xa9\xe2\x82\xac\"}\n\n", {"{\"x\":\"\xc3\xa9\xe2\x82\xac\"}"}},
};

TEST(SseParserTest, FindsTheSameEventsHoweverTheBytesAreCut) {
  for (const Case& c : kCases) {
    for (size_t step = 1; step <= c.bytes.size(); ++step) {
      SCOPED_TRACE(std::string(c.name) + ", in pieces of " + std::to_string(step));
      SseParser parser;
      std::vector<std::string> events;
      for (size_t at = 0; at < c.bytes.size(); at += step) {
        parser.Feed(c.bytes.substr(at, step),
                    [&](absl::string_view data) { events.emplace_back(data); });
      }
      EXPECT_THAT(events, ElementsAreArray(c.events));
    }
  }
}

}  // namespace
}  // namespace skein::ctl
