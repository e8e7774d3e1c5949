#include "tools/skeinctl/bench_report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <boost/json.hpp>

namespace skein::ctl {
namespace {

std::string Row(absl::string_view name, const Percentiles& p) {
  if (p.count == 0) return absl::StrFormat("%-15s %10s %10s %10s %10s\n", name, "-", "-", "-", "-");
  return absl::StrFormat("%-15s %10.2f %10.2f %10.2f %10.2f\n", name, p.p50, p.p90, p.p99, p.max);
}

boost::json::object ToJson(const Percentiles& p) {
  return {{"count", p.count}, {"p50", p.p50}, {"p90", p.p90}, {"p99", p.p99}, {"max", p.max}};
}

}  // namespace

Percentiles PercentilesOf(std::vector<double> seconds) {
  Percentiles out;
  if (seconds.empty()) return out;
  std::sort(seconds.begin(), seconds.end());
  auto rank_ms = [&seconds](double q) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(seconds.size())));
    return 1e3 * seconds[std::max<size_t>(rank, 1) - 1];
  };
  out.count = static_cast<int64_t>(seconds.size());
  out.p50 = rank_ms(0.50);
  out.p90 = rank_ms(0.90);
  out.p99 = rank_ms(0.99);
  out.max = rank_ms(1);
  return out;
}

double BenchReport::TokensPerSecond() const {
  return elapsed_s > 0 ? static_cast<double>(completion_tokens) / elapsed_s : 0;
}

BenchReport Summarise(const LoadResult& result) {
  BenchReport report;
  report.elapsed_s = result.elapsed_s;
  report.rate = result.rate;
  std::vector<double> first_token, inter_token, request, late;
  std::map<std::string, std::vector<double>> error_latency;
  int64_t answers = 0;
  for (const RequestRecord& record : result.records) {
    late.push_back(record.late_s);
    if (!record.status.ok()) {
      ++(absl::IsResourceExhausted(record.status) ? report.refused : report.failed);
      error_latency[absl::StatusCodeToString(record.status.code())].push_back(record.latency_s);
      ErrorKind& kind = report.errors[absl::StatusCodeToString(record.status.code())];
      if (kind.count++ == 0) kind.example = std::string(record.status.message());
      continue;
    }
    ++report.succeeded;
    if (record.end_s <= result.arriving_s) ++answers;
    report.prompt_tokens += record.prompt_tokens;
    report.completion_tokens += record.completion_tokens;
    request.push_back(record.latency_s);
    if (record.first_token_s > 0) first_token.push_back(record.first_token_s);
    inter_token.insert(inter_token.end(), record.gaps_s.begin(), record.gaps_s.end());
  }
  report.first_token = PercentilesOf(std::move(first_token));
  report.inter_token = PercentilesOf(std::move(inter_token));
  report.request = PercentilesOf(std::move(request));
  report.late = PercentilesOf(std::move(late));
  for (auto& [code, kind] : report.errors) {
    kind.latency = PercentilesOf(std::move(error_latency[code]));
  }
  if (result.arriving_s > 0) {
    report.answers_per_s = static_cast<double>(answers) / result.arriving_s;
  }
  return report;
}

std::string FormatTable(const BenchReport& report) {
  std::string text =
      absl::StrFormat("%-15s %10s %10s %10s %10s\n", "milliseconds", "p50", "p90", "p99", "max");
  absl::StrAppend(&text, Row("first token", report.first_token),
                  Row("between tokens", report.inter_token), Row("whole request", report.request));
  absl::StrAppendFormat(&text, "\n%d requests answered, %d refused, %d failed, in %.2f s\n",
                        report.succeeded, report.refused, report.failed, report.elapsed_s);
  if (report.rate > 0) {
    absl::StrAppendFormat(&text,
                          "%.2f answers/s at %.2f requests/s, which began up to %.1f ms late\n",
                          report.answers_per_s, report.rate, report.late.max);
  }
  absl::StrAppendFormat(&text, "%d tokens made: %.1f tokens/s (prompts: %d tokens)\n",
                        report.completion_tokens, report.TokensPerSecond(), report.prompt_tokens);
  for (const auto& [code, kind] : report.errors) {
    absl::StrAppendFormat(&text, "%7d  %s after %.2f ms (p99 %.2f), such as: %s\n", kind.count,
                          code, kind.latency.p50, kind.latency.p99, kind.example);
  }
  return text;
}

std::string FormatJson(const BenchReport& report) {
  boost::json::object errors;
  for (const auto& [code, kind] : report.errors) {
    errors[code] = {
        {"count", kind.count}, {"example", kind.example}, {"latency_ms", ToJson(kind.latency)}};
  }
  const boost::json::object out = {{"succeeded", report.succeeded},
                                   {"failed", report.failed},
                                   {"refused", report.refused},
                                   {"rate", report.rate},
                                   {"answers_per_s", report.answers_per_s},
                                   {"late_ms", ToJson(report.late)},
                                   {"elapsed_s", report.elapsed_s},
                                   {"prompt_tokens", report.prompt_tokens},
                                   {"completion_tokens", report.completion_tokens},
                                   {"tokens_per_s", report.TokensPerSecond()},
                                   {"first_token_ms", ToJson(report.first_token)},
                                   {"inter_token_ms", ToJson(report.inter_token)},
                                   {"request_ms", ToJson(report.request)},
                                   {"errors", std::move(errors)}};
  return boost::json::serialize(out);
}

}  // namespace skein::ctl
