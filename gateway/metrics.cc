#include "gateway/metrics.h"

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

constexpr const char* kRefusals[] = {
    "no_key",   "wrong_key",           "expired_key",       "role",    "model", "adapter",
    "parallel", "requests_per_minute", "tokens_per_minute", "draining"};
constexpr const char* kChoices[] = {"affine", "random", "bound", "probe"};
constexpr const char* kEjections[] = {"failures", "probe", "silence", "stall"};
constexpr const char* kRetries[] = {"retried", "budget", "exhausted"};
constexpr char kOk[] = "ok";

}  // namespace

GatewayMetrics::GatewayMetrics(MetricsRegistry& registry)
    : workers(registry),
      connections(registry.AddGauge("skein_gateway_connections", "Open client connections.")),
      open_streams(registry.AddGauge("skein_gateway_open_streams", "Open event streams.")),
      ready_workers(registry.AddGauge("skein_gateway_ready_workers",
                                      "Workers that are connected and serve a model.")),
      rejected_connections(registry.AddCounter("skein_gateway_rejected_connections_total",
                                               "Connections closed because too many were open.")),
      tls_handshake_failures(registry.AddCounter("skein_gateway_tls_handshake_failures_total",
                                                 "Connections without a TLS that we speak.")),
      api_keys(registry.AddGauge("skein_gateway_api_keys", "API keys that are known.")),
      registry_(registry),
      models_(registry) {
  registry
      .AddGauge("skein_gateway_build_info", "What this program was built from; always 1.",
                {{"version", SKEIN_VERSION}})
      .Set(1);
  for (const char* reason : kRefusals) Refusals(reason);
  for (const char* choice : kChoices) Picks(choice);
  for (const char* reason : kEjections) Ejections(reason);
  for (const char* outcome : kRetries) Retries(outcome);
  for (const std::string& outcome : StatusLabels()) RegistryCatchUps(outcome);
  for (const std::string& error : StatusLabels()) {
    if (error != kOk) FailedStreams(error);
  }
}

prometheus::Counter& GatewayMetrics::Requests(const std::string& route, int status) {
  return registry_.AddCounter("skein_gateway_requests_total",
                              "Answered requests by route and status.",
                              {{"route", route}, {"status", absl::StrCat(status)}});
}

prometheus::Histogram& GatewayMetrics::RequestSeconds(const std::string& route) {
  return registry_.AddHistogram("skein_gateway_request_seconds",
                                "From a request's last byte to the answer's end.",
                                LongLatencyBuckets(), {{"route", route}});
}

void GatewayMetrics::CountRequest(const std::string& route, int status, double seconds) {
  Requests(route, status).Increment();
  RequestSeconds(route).Observe(seconds);
}

void GatewayMetrics::ExpectRequests(const std::string& route, const std::vector<int>& statuses) {
  for (const int status : statuses) Requests(route, status);
  RequestSeconds(route);
}

prometheus::Counter& GatewayMetrics::Refusals(const std::string& reason) {
  return registry_.AddCounter("skein_gateway_refused_requests_total",
                              "Requests turned away before any work was done for them, by reason.",
                              {{"reason", reason}});
}

void GatewayMetrics::CountRefusal(const std::string& reason) { Refusals(reason).Increment(); }

void GatewayMetrics::SetStaleFile(const std::string& file, bool stale) {
  registry_
      .AddGauge("skein_gateway_stale_file",
                "1 while the newest contents of the file cannot be used and older ones are.",
                {{"file", file}})
      .Set(stale ? 1 : 0);
}

void GatewayMetrics::SetCertificateExpiry(const std::string& certificate, double unix_seconds) {
  registry_
      .AddGauge("skein_gateway_certificate_expiry_timestamp_seconds",
                "When the certificate stops being valid.", {{"certificate", certificate}})
      .Set(unix_seconds);
}

prometheus::Counter& GatewayMetrics::Picks(const std::string& choice) {
  return registry_.AddCounter("skein_gateway_picks_total", "Workers picked by how.",
                              {{"choice", choice}});
}

void GatewayMetrics::CountPick(const char* choice) { Picks(choice).Increment(); }

prometheus::Counter& GatewayMetrics::Ejections(const std::string& reason) {
  return registry_.AddCounter("skein_gateway_ejections_total",
                              "Workers taken out of rotation by why.", {{"reason", reason}});
}

void GatewayMetrics::CountEjection(const char* reason) { Ejections(reason).Increment(); }

prometheus::Counter& GatewayMetrics::Retries(const std::string& outcome) {
  return registry_.AddCounter("skein_gateway_retries_total",
                              "Calls that failed before their first token by what became of them.",
                              {{"outcome", outcome}});
}

void GatewayMetrics::CountRetry(const char* outcome) { Retries(outcome).Increment(); }

void GatewayMetrics::SetWorkers(const char* state, int count) {
  registry_.AddGauge("skein_gateway_workers", "Known workers by state.", {{"state", state}})
      .Set(count);
}

void GatewayMetrics::SetReadyWorkers(const std::map<std::string, int>& by_model) {
  models_.SetReadyWorkers(by_model);
  for (const auto& [model, ready] : by_model) LatenciesOf(model);
}

void GatewayMetrics::SetRegistryDifferences(
    const std::map<std::string, RegistryDifferences>& by_model) {
  models_.SetRegistryDifferences(by_model);
}

prometheus::Counter& GatewayMetrics::RegistryCatchUps(const std::string& outcome) {
  return registry_.AddCounter("skein_gateway_registry_catch_ups_total",
                              "Changes that bring new workers up to their peers, by outcome.",
                              {{"outcome", outcome}});
}

void GatewayMetrics::CountRegistryCatchUp(const absl::Status& outcome) {
  RegistryCatchUps(StatusLabel(outcome)).Increment();
}

GatewayMetrics::Latencies GatewayMetrics::LatenciesOf(const std::string& model) {
  return {registry_.AddHistogram("skein_gateway_first_token_seconds",
                                 "From a request's last byte to its first text.",
                                 LongLatencyBuckets(), {{"model", model}}),
          registry_.AddHistogram("skein_gateway_inter_token_seconds",
                                 "Between two pieces of text of a choice.", ShortLatencyBuckets(),
                                 {{"model", model}})};
}

prometheus::Counter& GatewayMetrics::FailedStreams(const std::string& error) {
  return registry_.AddCounter("skein_gateway_failed_streams_total",
                              "Event streams that ended with an error event, by its status code.",
                              {{"error", error}});
}

void GatewayMetrics::CountFailedStream(const absl::Status& error) {
  FailedStreams(StatusLabel(error)).Increment();
}

}  // namespace skein
