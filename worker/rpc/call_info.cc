#include "worker/rpc/call_info.h"

#include <algorithm>
#include <chrono>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace skein {
namespace {

constexpr size_t kMaxIdLength = 128;

// Empty if the client sent none that can be passed on.
std::string ClientValue(const grpc::CallbackServerContext& context, const char* key) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find(key);
  if (it == metadata.end()) return "";
  const std::string value(it->second.data(), it->second.size());
  const bool visible = std::all_of(value.begin(), value.end(), absl::ascii_isgraph);
  return visible && value.size() <= kMaxIdLength ? value : "";
}

absl::Time Deadline(const grpc::CallbackServerContext& context) {
  const std::chrono::system_clock::time_point deadline = context.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) return absl::InfiniteFuture();
  return absl::FromChrono(deadline);
}

}  // namespace

std::string NewRequestId() {
  thread_local absl::BitGen random;
  return absl::StrFormat("%016x%016x", absl::Uniform<uint64_t>(random),
                         absl::Uniform<uint64_t>(random));
}

CallInfo BeginCall(grpc::CallbackServerContext& context) {
  CallInfo info;
  info.request_id = ClientValue(context, "x-request-id");
  if (info.request_id.empty()) info.request_id = NewRequestId();
  info.trace = ContinueTrace(ClientValue(context, "traceparent"));
  info.deadline = Deadline(context);
  info.client = context.peer();
  context.AddInitialMetadata("x-request-id", info.request_id);
  context.AddInitialMetadata("traceparent", FormatTraceparent(info.trace));
  return info;
}

}  // namespace skein
