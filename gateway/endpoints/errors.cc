#include "gateway/endpoints/errors.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/log.h"
#include "common/base/retry_after.h"
#include "gateway/endpoints/utf8.h"

namespace skein {
namespace {

constexpr char kParamPayload[] = "skein/param";
constexpr char kCodePayload[] = "skein/code";
constexpr absl::Duration kRetrySoon = absl::Seconds(1);

struct ErrorKind {
  absl::StatusCode code;
  int http;
  const char* type;
  const char* default_code;  // of the error object; nullptr: null
  bool retry_soon;           // with Retry-After
};

// The last row stands for every code that is not listed: what should not happen.
constexpr ErrorKind kErrorKinds[] = {
    {absl::StatusCode::kInvalidArgument, 400, "invalid_request_error", nullptr, false},
    {absl::StatusCode::kOutOfRange, 400, "invalid_request_error", nullptr, false},
    {absl::StatusCode::kFailedPrecondition, 400, "invalid_request_error", nullptr, false},
    {absl::StatusCode::kUnauthenticated, 401, "invalid_request_error", "invalid_api_key", false},
    {absl::StatusCode::kPermissionDenied, 403, "permission_error", nullptr, false},
    {absl::StatusCode::kNotFound, 404, "not_found_error", nullptr, false},
    {absl::StatusCode::kAlreadyExists, 409, "conflict_error", nullptr, false},
    {absl::StatusCode::kAborted, 409, "conflict_error", nullptr, false},
    {absl::StatusCode::kDataLoss, 422, "unprocessable_entity_error", nullptr, false},
    {absl::StatusCode::kResourceExhausted, 429, "rate_limit_error", "rate_limit_exceeded", true},
    {absl::StatusCode::kUnimplemented, 501, "server_error", "not_implemented", false},
    {absl::StatusCode::kUnavailable, 503, "server_error", "unavailable", true},
    // A worker that gives a call up; a client that left is not there to read it.
    {absl::StatusCode::kCancelled, 503, "server_error", "cancelled", true},
    {absl::StatusCode::kDeadlineExceeded, 504, "server_error", "deadline_exceeded", false},
    {absl::StatusCode::kInternal, 500, "server_error", "internal_error", false},
};

const ErrorKind& KindOf(const absl::Status& status) {
  for (const ErrorKind& kind : kErrorKinds) {
    if (kind.code == status.code()) return kind;
  }
  return kErrorKinds[std::size(kErrorKinds) - 1];
}

bool IsOurFailure(const absl::Status& status) {
  return KindOf(status).code == absl::StatusCode::kInternal;
}

std::string Payload(const absl::Status& status, const char* name) {
  const auto payload = status.GetPayload(name);
  return payload.has_value() ? std::string(*payload) : std::string();
}

absl::Status WithPayload(absl::Status status, const char* name, absl::string_view value) {
  if (!status.ok() && !status.GetPayload(name).has_value()) {
    status.SetPayload(name, absl::Cord(value));
  }
  return status;
}

}  // namespace

absl::Status WithParam(absl::Status status, absl::string_view param) {
  return WithPayload(std::move(status), kParamPayload, param);
}

absl::Status WithCode(absl::Status status, absl::string_view code) {
  return WithPayload(std::move(status), kCodePayload, code);
}

absl::Status FieldError(absl::string_view param, absl::string_view message) {
  return WithParam(absl::InvalidArgumentError(absl::StrCat(param, ": ", message)), param);
}

std::string ParamOf(const absl::Status& status) { return Payload(status, kParamPayload); }

int HttpStatusOf(const absl::Status& status) { return status.ok() ? 200 : KindOf(status).http; }

std::string ErrorBody(const absl::Status& status, absl::string_view request_id) {
  const ErrorKind& kind = KindOf(status);
  std::string message(status.message());
  if (message.empty()) message = absl::StatusCodeToString(status.code());
  if (IsOurFailure(status)) absl::StrAppend(&message, " (request ", request_id, ")");
  std::string code = Payload(status, kCodePayload);
  if (code.empty() && kind.default_code != nullptr) code = kind.default_code;

  boost::json::object error;
  error["message"] = ReplaceInvalidUtf8(message);
  error["type"] = kind.type;
  error["param"] = nullptr;
  if (std::string param = ParamOf(status); !param.empty()) {
    error["param"] = ReplaceInvalidUtf8(param);
  }
  error["code"] = nullptr;
  if (!code.empty()) error["code"] = code;
  return boost::json::serialize(boost::json::object{{"error", std::move(error)}});
}

HttpResponse ErrorResponse(const absl::Status& status, absl::string_view request_id) {
  LogIfInternal(status, request_id);
  const ErrorKind& kind = KindOf(status);
  HttpResponse response;
  response.status = kind.http;
  response.body = ErrorBody(status, request_id);
  const absl::Duration retry_after = RetryAfterOf(status).value_or(kRetrySoon);
  if (kind.code == absl::StatusCode::kUnauthenticated) {
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
  } else if (kind.retry_soon && retry_after != absl::InfiniteDuration()) {
    response.headers.emplace_back("Retry-After", absl::StrCat(RetryAfterSeconds(retry_after)));
  } else if (kind.retry_soon) {
    response.headers.emplace_back("x-should-retry", "false");
  } else if (kind.http >= 500) {
    // The OpenAI clients repeat every 5xx by themselves unless told not to.
    response.headers.emplace_back("x-should-retry", "false");
  }
  return response;
}

void LogIfInternal(const absl::Status& status, absl::string_view request_id) {
  if (!IsOurFailure(status)) return;
  LogError("request failed", {{"request", std::string(request_id)}, {"error", status.ToString()}});
}

}  // namespace skein
