#include "tools/skeinctl/load_generator.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

#include "common/base/status_macros.h"
#include "tools/skeinctl/grpc_client.h"

namespace skein::ctl {
namespace {

constexpr char kSampleText[] =
    "The keeper of the lighthouse counted the boats that came home in the evening. Nine had left "
    "the harbour at "
    "dawn, seven were tied to the quay, and far out two sails stood against a red sky. She wrote "
    "the number into "
    "the book, lit the lamp and put the kettle on the stove. The wind would turn after midnight, "
    "she thought, and "
    "carry the last two in before the rain.";

double Seconds(absl::Duration duration) { return absl::ToDoubleSeconds(duration); }

// Another place to begin for each request, so that no two prompts share a long beginning.
TokenIds MakePrompt(const TokenIds& sample, int64_t length, int64_t index) {
  TokenIds prompt;
  prompt.reserve(static_cast<size_t>(length));
  const auto size = static_cast<int64_t>(sample.size());
  for (int64_t i = 0; i < length; ++i) {
    prompt.push_back(sample[static_cast<size_t>((index * 7 + i + i / size) % size)]);
  }
  return prompt;
}

// One of the two that options ask for.
class Client {
 public:
  explicit Client(const LoadOptions& options) {
    if (options.grpc_address.empty()) {
      http_.emplace(options.url, options.idle_timeout);
    } else {
      grpc_.emplace(options.grpc_address, options.url.api_key);
    }
  }
  absl::StatusOr<std::vector<Token>> Tokenize(const std::string& model, const std::string& text) {
    return http_ ? http_->Tokenize(model, text) : grpc_->Tokenize(model, text);
  }
  absl::StatusOr<Generated> Generate(const GenerateCall& call) {
    return http_ ? http_->Generate(call) : grpc_->Generate(call);
  }

 private:
  std::optional<ApiClient> http_;
  std::optional<GrpcClient> grpc_;
};

RequestRecord RunOne(Client& client, const LoadOptions& options, const TokenIds& sample,
                     int64_t index) {
  RequestRecord record;
  GenerateCall call;
  call.model = options.model;
  call.prompt = MakePrompt(sample, options.prompt_tokens, index);
  call.max_tokens = options.max_tokens;
  call.temperature = options.temperature;
  call.seed = options.seed + index;
  call.ignore_eos = options.ignore_eos;
  call.stream = options.stream;
  const absl::Time begin = absl::Now();
  absl::Time last = begin;
  call.on_text = [&](absl::string_view) {
    const absl::Time now = absl::Now();
    if (last == begin) {
      record.first_token_s = Seconds(now - begin);
    } else {
      record.gaps_s.push_back(Seconds(now - last));
    }
    last = now;
    return true;
  };
  const absl::StatusOr<Generated> answer = client.Generate(call);
  record.latency_s = Seconds(absl::Now() - begin);
  record.status = answer.status();
  if (answer.ok()) {
    record.prompt_tokens = answer->prompt_tokens;
    record.completion_tokens = answer->completion_tokens;
    record.status = CheckAnswer(options, *answer);
  }
  return record;
}

}  // namespace

absl::StatusOr<TokenIds> SampleTokens(const LoadOptions& options) {
  const absl::StatusOr<std::vector<Token>> tokens =
      Client(options).Tokenize(options.model, kSampleText);
  TokenIds ids;
  if (tokens.ok()) {
    for (const Token& token : *tokens) ids.push_back(token.id);
  } else if (absl::IsInvalidArgument(tokens.status()) || absl::IsUnimplemented(tokens.status())) {
    for (int64_t i = 0; i < 199; ++i) ids.push_back(1 + i * 31 % 199);
  } else {
    return tokens.status();
  }
  if (ids.empty()) return absl::DataLossError("tokenize: no tokens for a text of five lines");
  return ids;
}

absl::Status CheckAnswer(const LoadOptions& options, const Generated& answer) {
  if (answer.prompt_tokens != options.prompt_tokens) {
    return absl::DataLossError(absl::StrCat("usage says ", answer.prompt_tokens,
                                            " prompt tokens, sent ", options.prompt_tokens));
  }
  const bool counts = options.ignore_eos ? answer.completion_tokens == options.max_tokens
                                         : answer.completion_tokens <= options.max_tokens;
  if (!counts || answer.completion_tokens < 1) {
    return absl::DataLossError(absl::StrCat("usage says ", answer.completion_tokens,
                                            " tokens, expected ", options.ignore_eos ? "" : "1 to ",
                                            options.max_tokens));
  }
  const bool length =
      answer.completion_tokens == options.max_tokens && answer.finish_reason == "length";
  if (!length && (options.ignore_eos || answer.finish_reason != "stop")) {
    return absl::DataLossError(absl::StrCat("finish_reason \"", answer.finish_reason, "\" after ",
                                            answer.completion_tokens, " of ", options.max_tokens,
                                            " tokens"));
  }
  return absl::OkStatus();
}

LoadResult RunLoad(const LoadOptions& options, const TokenIds& sample) {
  LoadResult result;
  result.rate = options.arrivals.rate;
  std::mutex mu;  // guards result
  const absl::Time begin = absl::Now();
  Arrivals arrivals(options.arrivals, begin);
  auto work = [&] {
    Client client(options);
    while (const auto arrival = arrivals.Next(absl::Now())) {
      absl::SleepFor(arrival->time - absl::Now());
      const double late_s = Seconds(absl::Now() - arrival->time);
      RequestRecord record = RunOne(client, options, sample, arrival->index);
      record.late_s = late_s;
      record.end_s = Seconds(absl::Now() - begin);
      const std::lock_guard<std::mutex> lock(mu);
      result.records.push_back(std::move(record));
      result.arriving_s = std::max(result.arriving_s, Seconds(arrival->time - begin));
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<size_t>(options.concurrency));
    for (int i = 0; i < options.concurrency; ++i) threads.emplace_back(work);
  }
  result.elapsed_s = Seconds(absl::Now() - begin);
  return result;
}

}  // namespace skein::ctl
