#include "worker/rpc/call_log.h"

#include <utility>

#include "absl/strings/ascii.h"

namespace skein {
namespace {

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

}  // namespace

LogFields CallLogFields(const CallInfo& call, const CallEnd& end) {
  LogFields fields = {
      {"request", call.request_id},
      {"trace_id", call.trace.trace_id},
      {"span_id", call.trace.span_id},
      {"client", call.client},
      {"method", end.method},
      {"model", end.model},
      {"outcome", absl::AsciiStrToLower(absl::StatusCodeToString(end.status.code()))},
      {"prompt_tokens", end.usage.prompt_tokens},
      {"completion_tokens", end.usage.completion_tokens}};
  if (end.finish.has_value()) {
    fields.emplace_back("finish_reason", *end.finish == FinishReason::kStop ? "stop" : "length");
  }
  if (end.usage.queue_wait.has_value()) {
    fields.emplace_back("queue_ms", Milliseconds(*end.usage.queue_wait));
  }
  if (end.usage.first_token.has_value()) {
    fields.emplace_back("first_token_ms", Milliseconds(*end.usage.first_token));
  }
  fields.emplace_back("total_ms", Milliseconds(end.usage.total));
  return fields;
}

void LogCall(const CallInfo& call, const CallEnd& end) {
  if (call.log && LogEnabled(LogLevel::kInfo)) LogInfo("request", CallLogFields(call, end));
}

}  // namespace skein
