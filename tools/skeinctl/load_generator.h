// Keeps a number of requests running against a server, or begins them at a rate, and records what
// each one met.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tools/skeinctl/api_client.h"
#include "tools/skeinctl/arrivals.h"

namespace skein::ctl {

struct LoadOptions {
  Url url;
  std::string grpc_address;  // HOST:PORT; empty: over HTTP
  std::string model;
  int concurrency = 8;  // requests at the same time; with a rate, the most of them
  ArrivalOptions arrivals;
  int64_t prompt_tokens = 64;
  int64_t max_tokens = 64;
  bool ignore_eos = true;  // each answer then has exactly max_tokens tokens, which is checked
  bool stream = true;
  double temperature = 1;
  int64_t seed = 1;  // request number i uses seed + i
  absl::Duration idle_timeout = absl::Minutes(2);
};

struct RequestRecord {
  absl::Status status;  // of the call, or DataLoss if the answer was not what was asked for
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double first_token_s = 0;    // from sending to the first text; 0 without a stream or without text
  double latency_s = 0;        // from sending to the last byte
  double late_s = 0;           // sent so long after its time: all of the concurrency was in use
  double end_s = 0;            // of the call, since the beginning of the run
  std::vector<double> gaps_s;  // between pieces of text as they arrived
};

struct LoadResult {
  std::vector<RequestRecord> records;  // in order of their end
  double elapsed_s = 0;                // until the last end
  double arriving_s = 0;               // until no request began any more
  double rate = 0;                     // at which they began; 0: when one ended
};

// Token ids for prompts: those of a text in plain English, or small numbers for a model without a
// tokenizer.
absl::StatusOr<TokenIds> SampleTokens(const LoadOptions& options);

// DataLoss if `answer` does not have the token counts and the finish_reason that `options` ask for.
absl::Status CheckAnswer(const LoadOptions& options, const Generated& answer);

// Uses one thread per concurrent request; returns when all have ended.
LoadResult RunLoad(const LoadOptions& options, const TokenIds& sample);

}  // namespace skein::ctl
