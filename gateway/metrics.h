// All metrics of a gateway process. docs/operations.md lists them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "common/metrics/metrics.h"
#include "gateway/model_series.h"
#include "gateway/worker_series.h"

namespace skein {

// Thread-safe. Counters whose label values are known beforehand start at 0, because increase() does
// not see the event that makes a series.
class GatewayMetrics {
 public:
  explicit GatewayMetrics(MetricsRegistry& registry);

  // Answered requests by route (the table's path, or "other") and HTTP status; 499 when the client
  // left first.
  void CountRequest(const std::string& route, int status, double seconds);

  // A route, and the statuses that its answers may have, so that they count from 0.
  void ExpectRequests(const std::string& route, const std::vector<int>& statuses);

  // Requests that were turned away before any work was done for them, by reason: no_key, role ...
  void CountRefusal(const std::string& reason);
  // Whether the newest contents of "keys" or "certificate" could not be used, and older ones are.
  void SetStaleFile(const std::string& file, bool stale);
  // When a certificate ("server", "client_ca", "worker_ca" or "worker_client") stops being valid.
  void SetCertificateExpiry(const std::string& certificate, double unix_seconds);

  // What routing does. Names are those of docs/operations.md.
  void CountPick(const char* choice);
  void CountEjection(const char* reason);
  void CountRetry(const char* outcome);
  void SetWorkers(const char* state, int count);
  // As ModelSeries. The latencies of these models count from 0.
  void SetReadyWorkers(const std::map<std::string, int>& by_model);

  // As ModelSeries.
  void SetRegistryDifferences(const std::map<std::string, RegistryDifferences>& by_model);
  // A change that was to bring a new worker up to its peers.
  void CountRegistryCatchUp(const absl::Status& outcome);

  // Of the answers of one model, once a worker has said something: names of clients make no series.
  struct Latencies {
    prometheus::Histogram& first_token_seconds;  // skein_gateway_first_token_seconds: request read
                                                 // to first text
    prometheus::Histogram& inter_token_seconds;  // skein_gateway_inter_token_seconds: between two
                                                 // pieces of text of a choice
  };
  Latencies LatenciesOf(const std::string& model);
  // An event stream that ended with an error event: its status was sent long before.
  void CountFailedStream(const absl::Status& error);

  WorkerSeries workers;                         // per worker
  prometheus::Gauge& connections;               // skein_gateway_connections
  prometheus::Gauge& open_streams;              // skein_gateway_open_streams
  prometheus::Gauge& ready_workers;             // skein_gateway_ready_workers
  prometheus::Counter& rejected_connections;    // skein_gateway_rejected_connections_total
  prometheus::Counter& tls_handshake_failures;  // skein_gateway_tls_handshake_failures_total
  prometheus::Gauge& api_keys;                  // skein_gateway_api_keys

 private:
  prometheus::Counter& Requests(const std::string& route, int status);
  prometheus::Histogram& RequestSeconds(const std::string& route);
  prometheus::Counter& Refusals(const std::string& reason);
  prometheus::Counter& Picks(const std::string& choice);
  prometheus::Counter& Ejections(const std::string& reason);
  prometheus::Counter& Retries(const std::string& outcome);
  prometheus::Counter& RegistryCatchUps(const std::string& outcome);
  prometheus::Counter& FailedStreams(const std::string& error);

  MetricsRegistry& registry_;
  ModelSeries models_;
};

}  // namespace skein
