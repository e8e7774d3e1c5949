#include "gateway/endpoints/call_options.h"

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

constexpr char kTimeoutHeader[] = "x-request-timeout-ms";

// The client's, if it gave one, else the longest.
absl::StatusOr<absl::Duration> TimeoutOf(const HttpRequest& request,
                                         const config::v1::LimitsConfig& limits) {
  const uint64_t longest_ms = uint64_t{limits.request_timeout_s()} * 1000;
  const absl::string_view text = request.Header(kTimeoutHeader);
  if (text.empty()) return absl::Milliseconds(longest_ms);
  uint64_t timeout_ms = 0;
  if (!absl::SimpleAtoi(text, &timeout_ms) || timeout_ms == 0 || timeout_ms > longest_ms) {
    return FieldError(kTimeoutHeader, absl::StrCat("found \"", absl::CHexEscape(text),
                                                   "\", expected an integer 1 to ", longest_ms));
  }
  return absl::Milliseconds(timeout_ms);
}

}  // namespace

absl::StatusOr<CallOptions> MakeCallOptions(const HttpRequest& request,
                                            const GatewayContext& context) {
  CallOptions options;
  options.request_id = request.request_id;
  options.traceparent = FormatTraceparent(request.trace);
  options.on_worker = [access = request.access](const std::string& worker) {
    access->Update([&worker](AccessFacts& facts) { facts.worker = worker; });
  };
  ASSIGN_OR_RETURN(const absl::Duration timeout, TimeoutOf(request, context.config.limits()));
  options.deadline = context.clock.Now() + timeout;
  return options;
}

}  // namespace skein
