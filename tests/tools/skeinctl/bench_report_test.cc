#include "tools/skeinctl/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/skeinctl/arrivals.h"

namespace skein::ctl {
namespace {

using ::testing::HasSubstr;

TEST(PercentilesTest, AreSamplesByNearestRank) {
  std::vector<double> seconds;
  for (int i = 100; i >= 1; --i) seconds.push_back(i / 1e3);
  const Percentiles hundred = PercentilesOf(seconds);
  EXPECT_EQ(hundred.count, 100);
  EXPECT_DOUBLE_EQ(hundred.p50, 50);
  EXPECT_DOUBLE_EQ(hundred.p90, 90);
  EXPECT_DOUBLE_EQ(hundred.p99, 99);
  EXPECT_DOUBLE_EQ(hundred.max, 100);
  const Percentiles one = PercentilesOf({0.25});
  EXPECT_DOUBLE_EQ(one.p50, 250);
  EXPECT_DOUBLE_EQ(one.p99, 250);
  EXPECT_EQ(PercentilesOf({}).count, 0);
}

LoadResult MixedResult() {
  LoadResult result;
  result.elapsed_s = 2;
  result.arriving_s = 1.5;
  result.rate = 4;
  for (int i = 1; i <= 2; ++i) {
    result.records.push_back({.status = absl::OkStatus(),
                              .prompt_tokens = 5,
                              .completion_tokens = 10,
                              .first_token_s = 0.1 * i,
                              .latency_s = 1.0 * i,
                              .late_s = 0.015 * i,
                              .end_s = 1.0 * i,
                              .gaps_s = {0.01, 0.02}});
  }
  result.records.push_back({.status = absl::DeadlineExceededError("HTTP 504: too \"slow\""),
                            .prompt_tokens = 0,
                            .completion_tokens = 99,
                            .first_token_s = 9,
                            .latency_s = 9,
                            .late_s = 0,
                            .end_s = 9,
                            .gaps_s = {9}});
  RequestRecord refused;
  refused.status = absl::ResourceExhaustedError("full");
  refused.latency_s = 0.004;
  result.records.push_back(std::move(refused));
  return result;
}

TEST(BenchReportTest, CountsFailuresApartAndLeavesThemOutOfTheFigures) {
  const BenchReport report = Summarise(MixedResult());
  EXPECT_EQ(report.succeeded, 2);
  EXPECT_EQ(report.failed, 1);
  EXPECT_EQ(report.refused, 1);
  EXPECT_EQ(report.late.count, 4);
  EXPECT_DOUBLE_EQ(report.answers_per_s, 1 / 1.5);  // the second answer came after the last request
  EXPECT_EQ(report.completion_tokens, 20);
  EXPECT_DOUBLE_EQ(report.TokensPerSecond(), 10);
  EXPECT_EQ(report.inter_token.count, 4);
  EXPECT_DOUBLE_EQ(report.inter_token.max, 20);
  EXPECT_DOUBLE_EQ(report.request.max, 2000);
  ASSERT_EQ(report.errors.count("DEADLINE_EXCEEDED"), 1u);
  EXPECT_EQ(report.errors.at("DEADLINE_EXCEEDED").count, 1);
}

TEST(BenchReportTest, PrintsATableAndJson) {
  const BenchReport report = Summarise(MixedResult());
  const std::string table = FormatTable(report);
  for (const char* part :
       {"first token", "between tokens", "whole request",
        "2 requests answered, 1 refused, 1 failed",
        "0.67 answers/s at 4.00 requests/s, which began up to 30.0 ms late",
        "RESOURCE_EXHAUSTED after 4.00 ms (p99 4.00), such as: full", "10.0 tokens/s",
        "DEADLINE_EXCEEDED after 9000.00 ms (p99 9000.00), such as: HTTP 504: too \"slow\""}) {
    EXPECT_THAT(table, HasSubstr(part));
  }
  const std::string json = FormatJson(report);
  for (const char* part :
       {R"("succeeded":2)", R"("failed":1)", R"("refused":1)", R"("late_ms":{"count":4)",
        R"(too \"slow\")", R"("inter_token_ms":{"count":4)"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST(BenchReportTest, ARunWithoutAnswersHasNoFigures) {
  const std::string table = FormatTable(Summarise({}));
  EXPECT_THAT(table, HasSubstr("0 requests answered"));
  EXPECT_THAT(table, ::testing::Not(HasSubstr("nan")));
}

std::vector<double> Times(const ArrivalOptions& options) {
  const absl::Time begin = absl::FromUnixSeconds(1000);
  Arrivals arrivals(options, begin);
  std::vector<double> times;
  while (const auto arrival = arrivals.Next(begin + absl::Seconds(5))) {
    EXPECT_EQ(arrival->index, static_cast<int64_t>(times.size()));
    times.push_back(absl::ToDoubleSeconds(arrival->time - begin));
  }
  return times;
}

TEST(ArrivalsTest, WithoutARateRequestsBeginWhenAskedForUntilTheirNumberOrTimeIsOver) {
  EXPECT_THAT(Times({.requests = 3}), ::testing::ElementsAre(5, 5, 5));
  EXPECT_THAT(Times({.duration = absl::Seconds(4)}), ::testing::IsEmpty());
}

TEST(ArrivalsTest, EvenArrivalsKeepTheirDistance) {
  EXPECT_THAT(Times({.duration = absl::Seconds(1), .rate = 4, .even = true}),
              ::testing::ElementsAre(0.25, 0.5, 0.75));
}

TEST(ArrivalsTest, RandomArrivalsHaveTheRateAndTheSpreadOfAPoissonProcess) {
  const std::vector<double> times = Times({.duration = absl::Seconds(1000), .rate = 10});
  EXPECT_NEAR(static_cast<double>(times.size()), 10'000, 400);
  int64_t long_gaps = 0;  // longer than twice the mean: one in e^2
  for (size_t i = 1; i < times.size(); ++i) long_gaps += times[i] - times[i - 1] > 0.2 ? 1 : 0;
  EXPECT_NEAR(static_cast<double>(long_gaps) / 10'000, 0.135, 0.02);
  EXPECT_EQ(Times({.duration = absl::Seconds(1000), .rate = 10}), times);
  EXPECT_NE(Times({.duration = absl::Seconds(1000), .rate = 10, .seed = 2}), times);
}

TEST(CheckAnswerTest, AcceptsOnlyWhatWasAskedFor) {
  struct Case {
    const char* name;
    bool ignore_eos;
    int64_t prompt_tokens, completion_tokens;
    const char* finish;
    bool good;
  };
  for (const Case& c : {
           Case{"exact", true, 8, 4, "length", true},
           Case{"too few", true, 8, 3, "length", false},
           Case{"too many", true, 8, 5, "length", false},
           Case{"stopped though it must not", true, 8, 4, "stop", false},
           Case{"another prompt", true, 7, 4, "length", false},
           Case{"stopped early", false, 8, 3, "stop", true},
           Case{"stopped with the last token", false, 8, 4, "stop", true},
           Case{"reached the limit", false, 8, 4, "length", true},
           Case{"length before the limit", false, 8, 3, "length", false},
           Case{"nothing made", false, 8, 0, "stop", false},
           Case{"no reason", false, 8, 3, "", false},
       }) {
    SCOPED_TRACE(c.name);
    LoadOptions options;
    options.prompt_tokens = 8;
    options.max_tokens = 4;
    options.ignore_eos = c.ignore_eos;
    Generated answer;
    answer.prompt_tokens = c.prompt_tokens;
    answer.completion_tokens = c.completion_tokens;
    answer.finish_reason = c.finish;
    EXPECT_EQ(CheckAnswer(options, answer).ok(), c.good);
  }
}

}  // namespace
}  // namespace skein::ctl
