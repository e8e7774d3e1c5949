#include "gateway/grpc/call_head.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"

#include "gateway/http/request_id.h"

namespace skein {
namespace {

std::string Value(const grpc::CallbackServerContext& context, const char* key) {
  const auto it = context.client_metadata().find(key);
  if (it == context.client_metadata().end()) return "";
  return std::string(it->second.data(), it->second.size());
}

// gRPC writes ipv4:HOST:PORT, or ipv6:%5BHOST%5D:PORT.
std::string PeerOf(const grpc::CallbackServerContext& context) {
  std::string peer = absl::StrReplaceAll(context.peer(), {{"%5B", "["}, {"%5D", "]"}});
  for (const char* kind : {"ipv4:", "ipv6:"}) {
    if (absl::StartsWith(peer, kind)) return peer.substr(5);
  }
  return peer;
}

absl::Time Deadline(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

}  // namespace

ClientAddress ClientOf(const grpc::CallbackServerContext& context, const TrustedProxies& trusted) {
  std::vector<absl::string_view> forwarded_for;
  const auto [begin, end] = context.client_metadata().equal_range("x-forwarded-for");
  for (auto it = begin; it != end; ++it) {
    forwarded_for.emplace_back(it->second.data(), it->second.size());
  }
  return trusted.ClientOf(PeerOf(context), forwarded_for);
}

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
