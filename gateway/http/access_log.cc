#include "gateway/http/access_log.h"

#include <optional>
#include <string>

namespace skein {
namespace {

// Paths that are none of ours are shown, but a line has an end.
constexpr size_t kMaxPathBytes = 256;

double Milliseconds(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

void AddIfKnown(absl::string_view key, const std::string& value, LogFields& fields) {
  if (!value.empty()) fields.emplace_back(key, value);
}

void AddIfKnown(absl::string_view key, const std::optional<absl::Duration>& value,
                LogFields& fields) {
  if (value.has_value()) fields.emplace_back(key, Milliseconds(*value));
}

AccessHead HeadOf(const HttpRequest& request) {
  return {.request_id = request.request_id,
          .trace = request.trace,
          .method = MethodName(request.method),
          .path = request.path};
}

}  // namespace

absl::string_view MethodName(Method method) {
  switch (method) {
    case Method::kGet:
      return "GET";
    case Method::kPost:
      return "POST";
    case Method::kDelete:
      return "DELETE";
    case Method::kPut:
      return "PUT";
    case Method::kOptions:
      return "OPTIONS";
    case Method::kHead:
      return "HEAD";
    case Method::kOther:
      return "other";
  }
  return "other";
}

LogLevel AccessLogLevel(const AccessFacts& facts, int status) {
  return facts.is_probe && status == 200 ? LogLevel::kDebug : LogLevel::kInfo;
}

LogFields AccessLogFields(const AccessHead& head, const AccessFacts& facts, const AccessEnd& end) {
  LogFields fields = {{"request", head.request_id},
                      {"trace_id", head.trace.trace_id},
                      {"span_id", head.trace.span_id},
                      {"client", end.client}};
  AddIfKnown("proxy", std::string(end.proxy), fields);
  fields.emplace_back("method", head.method);
  fields.emplace_back("route", facts.route);
  fields.emplace_back("status", end.status);
  if (facts.route == "other") {
    AddIfKnown("path", std::string(head.path.substr(0, kMaxPathBytes)), fields);
  }
  AddIfKnown("key", facts.key, fields);
  AddIfKnown("model", facts.model, fields);
  AddIfKnown("worker", facts.worker, fields);
  if (facts.prompt_tokens > 0) {
    fields.emplace_back("prompt_tokens", facts.prompt_tokens);
    fields.emplace_back("completion_tokens", facts.completion_tokens);
  }
  AddIfKnown("finish_reason", facts.finish_reason, fields);
  AddIfKnown("error", facts.error, fields);
  AddIfKnown("queue_ms", facts.queue_wait, fields);
  AddIfKnown("first_token_ms", facts.first_token, fields);
  fields.emplace_back("total_ms", Milliseconds(end.total));
  fields.emplace_back("request_bytes", end.request_bytes);
  fields.emplace_back("response_bytes", end.response_bytes);
  return fields;
}

LogFields AccessLogFields(const HttpRequest& request, const AccessFacts& facts,
                          const AccessEnd& end) {
  return AccessLogFields(HeadOf(request), facts, end);
}

void LogAccess(const AccessHead& head, const AccessFacts& facts, const AccessEnd& end) {
  const LogLevel level = AccessLogLevel(facts, end.status);
  if (LogEnabled(level)) Log(level, "request", AccessLogFields(head, facts, end));
}

void LogAccess(const HttpRequest& request, const AccessEnd& end) {
  LogAccess(HeadOf(request), request.access->facts(), end);
}

}  // namespace skein
