#include "gateway/endpoints/probes.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace skein {
namespace {

// Threads beat four times a second.
constexpr absl::Duration kThreadSilence = absl::Seconds(10);

}  // namespace

absl::Status Healthz(const HttpRequest&, const Caller&, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out) {
  if (const std::string stuck = context.heartbeats->Silent(kThreadSilence); !stuck.empty()) {
    return absl::InternalError(absl::StrCat("the thread ", stuck, " is stuck"));
  }
  out->Send({.body = R"({"status":"ok"})", .headers = {}});
  return absl::OkStatus();
}

absl::Status Readyz(const HttpRequest&, const Caller&, GatewayContext& context,
                    std::shared_ptr<HttpResponder> out) {
  if (context.phase == GatewayPhase::kDraining) {
    return absl::UnavailableError("the gateway is draining");
  }
  if (!context.workers.Ready()) {
    return absl::UnavailableError("no worker is ready to serve a model");
  }
  out->Send({.body = R"({"status":"ready"})", .headers = {}});
  return absl::OkStatus();
}

absl::Status Startupz(const HttpRequest&, const Caller&, GatewayContext& context,
                      std::shared_ptr<HttpResponder> out) {
  if (context.phase == GatewayPhase::kStarting) {
    return absl::UnavailableError("the gateway is starting");
  }
  out->Send({.body = R"({"status":"started"})", .headers = {}});
  return absl::OkStatus();
}

absl::Status Metrics(const HttpRequest&, const Caller&, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out) {
  out->Send({.content_type = "text/plain; version=0.0.4; charset=utf-8",
             .body = context.registry.Text(),
             .headers = {}});
  return absl::OkStatus();
}

}  // namespace skein
