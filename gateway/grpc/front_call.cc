#include "gateway/grpc/front_call.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/retry_after.h"
#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"
#include "gateway/http/access_log.h"
#include "gateway/rpc/client_call.h"

namespace skein {
namespace {

constexpr int kClientLeft = 499;
// For a burst, in which each request takes its room for some milliseconds.
constexpr absl::Duration kMaxWait = absl::Seconds(1);

// The headers of HTTP, as initial metadata.
void AddLimits(const HeaderList& headers, const absl::Status& admitted,
               grpc::CallbackServerContext& context) {
  for (const auto& [name, value] : headers) context.AddInitialMetadata(name, value);
  const auto after = RetryAfterOf(admitted);
  if (after.has_value() && *after != absl::InfiniteDuration()) {
    context.AddInitialMetadata("retry-after", absl::StrCat(RetryAfterSeconds(*after)));
  }
}

// The same bound as over HTTP: each choice takes one of a worker's sequences.
absl::Status CheckChoices(uint32_t n, uint32_t max_choices) {
  if (n <= max_choices) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("n: found ", n, ", expected an integer 1 to ", max_choices));
}

}  // namespace

UploadTimes UploadTimesOf(const config::v1::GatewayConfig& config) {
  return {.wait = kMaxWait, .read = absl::Seconds(config.limits().read_timeout_s())};
}

FrontCall::FrontCall(Front& front, const RpcMethod& method, grpc::CallbackServerContext& context)
    : front_(front),
      method_(method),
      server_context_(context),
      client_(ClientOf(context, front.context.trusted_proxies)),
      received_(front.context.clock.Now()),
      head_(ReadCallHead(context, received_,
                         absl::Seconds(front.context.config.limits().request_timeout_s()))) {
  access_->Update([&method](AccessFacts& facts) { facts.route = method.path; });
  head_.options.on_worker = [access = access_](const std::string& worker) {
    access->Update([&worker](AccessFacts& facts) { facts.worker = worker; });
  };
}

absl::StatusOr<std::string> FrontCall::Enter(const std::shared_ptr<OpenCall>& call) {
  ASSIGN_OR_RETURN(caller_, front_.context.access.Identify(head_.authorization, method_.role));
  access_->Update([this](AccessFacts& facts) { facts.key = caller_.name(); });
  RETURN_IF_ERROR(front_.open_calls.Enter(call));
  entered_ = call.get();
  return caller_.name();
}

absl::StatusOr<RequestFacts> FrontCall::Admit(const grpc::ByteBuffer& request) {
  received_ = front_.context.clock.Now();
  request_bytes_ = request.Length();
  ASSIGN_OR_RETURN(RequestFacts facts, method_.read(request));
  access_->Update([&facts](AccessFacts& known) { known.model = facts.pick.model; });
  RETURN_IF_ERROR(CheckChoices(facts.choices, front_.context.config.limits().max_choices()));
  const AccessControl& access = front_.context.access;
  absl::StatusOr<Admission> admission =
      access.Admit(caller_, facts.pick.model, facts.pick.entries, facts.tokens);
  AddLimits(access.RateLimitHeaders(caller_), admission.status(), server_context_);
  RETURN_IF_ERROR(admission.status());
  admission_ = *std::move(admission);
  return facts;
}

void FrontCall::Ended(const grpc::Status& status, bool client_left) {
  const absl::Status end = FromGrpc(status);
  if (!end.ok()) LogIfInternal(end, head_.options.request_id);
  const bool left = client_left && !absl::IsDeadlineExceeded(end);
  const int http_status = left ? kClientLeft : HttpStatusOf(end);
  const absl::Duration total = front_.context.clock.Now() - received_;
  front_.context.metrics.CountRequest(method_.path, http_status, absl::ToDoubleSeconds(total));
  if (front_.context.config.access_log()) {
    if (!end.ok()) access_->Update([&end](AccessFacts& facts) { facts.error = StatusLabel(end); });
    LogAccess({.request_id = head_.options.request_id, .trace = head_.trace, .method = "gRPC"},
              access_->facts(),
              {.status = http_status,
               .client = client_.client,
               .proxy = client_.proxy,
               .request_bytes = request_bytes_,
               .response_bytes = response_bytes_,
               .total = total});
  }
  if (entered_ != nullptr) front_.open_calls.Leave(entered_);
}

}  // namespace skein
