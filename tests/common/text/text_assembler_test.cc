#include "common/text/text_assembler.h"

#include <algorithm>
#include <random>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

#include "common/text/utf8.h"
#include "tests/common/text/text_testing.h"
#include "tests/testing/golden.h"

namespace skein {
namespace {

namespace json = boost::json;

struct Reply {
  std::string text;
  std::string finish_reason = "none";
  std::string matched_stop;
  int64_t completion_tokens = 0;
  std::vector<std::string> emitted;
};

// The loop that an engine runs over one sequence.
Reply RunEngine(const json::object& c) {
  std::vector<std::string> stops;
  for (const json::value& stop : c.at("stop").as_array()) stops.push_back(Text(stop));
  const std::vector<int32_t> end_tokens = Ids(c.at("eos_token_ids"));
  const int64_t max_tokens = c.at("max_tokens").is_null() ? 1 << 30 : c.at("max_tokens").as_int64();
  TextAssembler assembler(MakeStopMatcher(stops), {c.at("include_stop").as_bool(), false});
  Reply reply;
  for (const json::value& token : c.at("tokens").as_array()) {
    const auto id = static_cast<int32_t>(token.at(0).as_int64());
    ++reply.completion_tokens;
    const bool ends = std::find(end_tokens.begin(), end_tokens.end(), id) != end_tokens.end();
    std::string step = ends ? "" : assembler.Append(absl::HexStringToBytes(Text(token.at(1))));
    if (ends || assembler.stopped()) {
      reply.finish_reason = "stop";
    } else if (reply.completion_tokens == max_tokens) {
      reply.finish_reason = "length";
    }
    if (reply.finish_reason != "none") step += assembler.Finish();
    reply.text += step;
    reply.emitted.push_back(step);
    if (reply.finish_reason != "none") break;
  }
  reply.matched_stop = assembler.matched_stop();
  return reply;
}

TEST(TextAssemblerTest, GoldenStopCases) {
  const auto path = GoldenPath("adapters/stop/cases.json");
  if (!path.has_value()) GTEST_SKIP() << "no golden stop cases";
  const json::value file = json::parse(ReadFileOrDie(*path));
  for (const json::value& value : file.at("cases").as_array()) {
    const json::object& c = value.as_object();
    SCOPED_TRACE(Text(c.at("name")));
    const Reply reply = RunEngine(c);
    EXPECT_EQ(reply.text, Text(c.at("text")));
    EXPECT_EQ(reply.finish_reason, Text(c.at("finish_reason")));
    EXPECT_EQ(reply.matched_stop, c.at("matched_stop").is_null() ? "" : Text(c.at("matched_stop")));
    EXPECT_EQ(reply.completion_tokens, c.at("completion_tokens").as_int64());
    std::vector<std::string> emitted;
    for (const json::value& step : c.at("emitted_per_step").as_array()) {
      emitted.push_back(Text(step));
    }
    EXPECT_EQ(reply.emitted, emitted);
  }
}

// What the whole reply must be, by a search over the finished byte string.
std::string WholeReply(const std::string& bytes, const std::vector<std::string>& stops,
                       bool include_stop) {
  for (size_t end = 1; end <= bytes.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      const bool ends_here =
          stop.size() <= end && bytes.compare(end - stop.size(), stop.size(), stop) == 0;
      if (ends_here) longest = std::max(longest, stop.size());
    }
    if (longest > 0) return ReplaceInvalidUtf8(bytes.substr(0, include_stop ? end : end - longest));
  }
  return ReplaceInvalidUtf8(bytes);
}

TEST(TextAssemblerTest, AnySplitIntoTokensGivesTheTextOfTheWhole) {
  std::mt19937 random(5);
  const std::vector<std::string> stops = {"\n\nUser:", "\n\n\n", "\x80\xBF",
                                          "\xE0\xA0",  "ab",     "\xF0"};
  const auto matcher = MakeStopMatcher(stops);
  const auto random_reply = [&] {
    std::string bytes;
    for (auto part = random() % 6 + 1; part > 0; --part) {
      bytes += random() % 4 == 0 ? "\n\nUse" : RandomBytes(random, static_cast<int>(random() % 5));
      if (random() % 3 == 0) bytes += RandomText(random, 3);
    }
    return bytes;
  };
  for (int round = 0; round < 4000; ++round) {
    const std::string bytes = random_reply();
    const bool include_stop = round % 2 == 0;
    const std::string expected = WholeReply(bytes, stops, include_stop);
    TextAssembler assembler(matcher, {include_stop, false});
    std::string text;
    for (size_t pos = 0; pos < bytes.size() && !assembler.stopped();) {
      const size_t length = random() % 4;
      const std::string step = assembler.Append(absl::string_view(bytes).substr(pos, length));
      EXPECT_EQ(ValidUtf8Prefix(step), step.size());
      text += step;
      EXPECT_EQ(expected.compare(0, text.size(), text), 0) << "sent too early";
      pos += length;
    }
    text += assembler.Finish();
    ASSERT_EQ(text, expected) << absl::CHexEscape(bytes);
  }
}

TEST(TextAssemblerTest, LeadingSpacesAreDroppedAtTheVeryStartOnly) {
  TextAssembler assembler(nullptr, {false, true});
  EXPECT_EQ(assembler.Append(" "), "");
  EXPECT_EQ(assembler.Append(""), "");
  EXPECT_EQ(assembler.Append("  a b"), "a b");
  EXPECT_EQ(assembler.Append("  c"), "  c");
  EXPECT_EQ(assembler.Finish(), "");

  TextAssembler keeps(nullptr, {});
  EXPECT_EQ(keeps.Append(" a"), " a");
}

TEST(TextAssemblerTest, BeforeMinTokensStopStringsAreText) {
  TextAssembler assembler(MakeStopMatcher({"end"}), {});
  EXPECT_EQ(assembler.Append("the end, the e", false), "the end, the e");
  EXPECT_EQ(assembler.Append("nd", true), "nd") << "its beginning was not searched";
  EXPECT_EQ(assembler.Append(" en"), " ");
  EXPECT_EQ(assembler.Append("d, again", false), "end, again");
  EXPECT_EQ(assembler.Append("x end"), "x ");
  EXPECT_TRUE(assembler.stopped());
  EXPECT_EQ(assembler.matched_stop(), "end");
  EXPECT_EQ(assembler.Finish(), "");
}

TEST(TextAssemblerTest, ACopyGoesItsOwnWay) {
  TextAssembler first(MakeStopMatcher({"abc"}), {});
  EXPECT_EQ(first.Append("xab"), "x");
  TextAssembler second = first;
  EXPECT_EQ(first.Append("c"), "");
  EXPECT_TRUE(first.stopped());
  EXPECT_EQ(second.Append("d"), "abd");
  EXPECT_FALSE(second.stopped());
}

TEST(TextAssemblerTest, AnIncompleteCharacterIsReplacedAtTheEndAndAtAStop) {
  TextAssembler assembler(nullptr, {});
  EXPECT_EQ(assembler.Append("a\xE3\x81"), "a");
  EXPECT_EQ(assembler.Finish(), "\xEF\xBF\xBD");

  TextAssembler stops(MakeStopMatcher({"\n\n"}), {});
  EXPECT_EQ(stops.Append("a\xE3\x81"), "a");
  EXPECT_EQ(stops.Append("\n\n"), "\xEF\xBF\xBD");
  EXPECT_EQ(stops.Finish(), "");
}

}  // namespace
}  // namespace skein
