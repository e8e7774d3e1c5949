#include "gateway/grpc/call_head.h"

#include <algorithm>
#include <chrono>

#include "gateway/http/request_id.h"

namespace skein {
namespace {

std::string Value(const grpc::CallbackServerContext& context, const char* key) {
  const auto it = context.client_metadata().find(key);
  if (it == context.client_metadata().end()) return "";
  return std::string(it->second.data(), it->second.size());
}

absl::Time Deadline(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

}  // namespace

CallHead ReadCallHead(grpc::CallbackServerContext& context, absl::Time now,
                      absl::Duration max_time) {
  CallHead head;
  head.authorization = Value(context, "authorization");
  head.options.request_id = Value(context, "x-request-id");
  if (!IsSaneRequestId(head.options.request_id)) head.options.request_id = NewRequestId();
  context.AddInitialMetadata("x-request-id", head.options.request_id);
  const bool one_trace = context.client_metadata().count("traceparent") == 1;
  head.trace = ContinueTrace(one_trace ? Value(context, "traceparent") : "");
  head.options.traceparent = FormatTraceparent(head.trace);
  context.AddInitialMetadata("traceparent", head.options.traceparent);
  head.options.deadline = std::min(Deadline(context), now + max_time);
  return head;
}

}  // namespace skein
