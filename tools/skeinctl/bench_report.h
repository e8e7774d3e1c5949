// What a load run showed, as numbers, as a table and as JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/skeinctl/load_generator.h"

namespace skein::ctl {

// In milliseconds; all 0 if there were no samples.
struct Percentiles {
  int64_t count = 0;
  double p50 = 0, p90 = 0, p99 = 0, max = 0;
};

// Nearest rank: the smallest sample that at least q of all samples do not exceed.
Percentiles PercentilesOf(std::vector<double> seconds);

struct ErrorKind {
  int64_t count = 0;
  std::string example;  // message of the first one
  Percentiles latency;
};

struct BenchReport {
  int64_t succeeded = 0;
  int64_t failed = 0;   // for other reasons than the next
  int64_t refused = 0;  // RESOURCE_EXHAUSTED: the server had enough to do
  double elapsed_s = 0;
  double rate = 0;            // at which requests began; 0: when one ended
  double answers_per_s = 0;   // while requests began
  int64_t prompt_tokens = 0;  // of the requests that succeeded, as the next
  int64_t completion_tokens = 0;
  Percentiles first_token, inter_token, request;
  Percentiles late;                         // how late requests were sent, of a run with a rate
  std::map<std::string, ErrorKind> errors;  // by status code

  double TokensPerSecond() const;
};

BenchReport Summarise(const LoadResult& result);
std::string FormatTable(const BenchReport& report);
std::string FormatJson(const BenchReport& report);

}  // namespace skein::ctl
