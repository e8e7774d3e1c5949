#include "gateway/endpoints/probes.h"

namespace skein {

absl::Status Healthz(const HttpRequest&, GatewayContext&, std::shared_ptr<HttpResponder> out) {
  out->Send({.body = R"({"status":"ok"})", .headers = {}});
  return absl::OkStatus();
}

absl::Status Readyz(const HttpRequest&, GatewayContext& context,
                    std::shared_ptr<HttpResponder> out) {
  if (!context.workers.Ready()) {
    return absl::UnavailableError("no worker is ready to serve a model");
  }
  out->Send({.body = R"({"status":"ready"})", .headers = {}});
  return absl::OkStatus();
}

absl::Status Metrics(const HttpRequest&, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out) {
  out->Send({.content_type = "text/plain; version=0.0.4; charset=utf-8",
             .body = context.registry.Text(),
             .headers = {}});
  return absl::OkStatus();
}

}  // namespace skein
