// All metrics of a worker process. docs/operations.md lists them.
#pragma once

#include <string>

#include "absl/status/status.h"

#include "common/metrics/metrics.h"
#include "common/metrics/metrics_scope.h"

namespace skein {

// Thread-safe. Every series has the label `model`, and goes when this does. Counters with further
// labels start at 0 for all their values, because increase() does not see the event that makes a
// series.
class WorkerMetrics {
  MetricsScope scope_;  // before all that it adds
  const std::string model_;

 public:
  WorkerMetrics(MetricsRegistry& registry, const std::string& model);

  // Ended requests by outcome: ok, or the status code in lower case, such as deadline_exceeded.
  void CountRequest(const absl::Status& outcome);
  // Files of states that were read, by outcome.
  void CountStateLoad(const absl::Status& outcome);
  void CountAdapterLoad(const absl::Status& outcome);
  // Requests that were not taken for reasons of the worker's, not of their own.
  void CountRejected(const std::string& reason);

  prometheus::Counter& prompt_tokens;     // skein_worker_prompt_tokens_total
  prometheus::Counter& generated_tokens;  // skein_worker_generated_tokens_total
  prometheus::Histogram& queue_seconds;   // skein_worker_queue_seconds: accepted to admitted
  prometheus::Histogram&
      first_token_seconds;  // skein_worker_first_token_seconds: accepted to first token
  prometheus::Histogram& inter_token_seconds;  // skein_worker_inter_token_seconds
  prometheus::Histogram& request_seconds;      // skein_worker_request_seconds: accepted to end
  prometheus::Counter& steps;                  // skein_worker_steps_total
  prometheus::Histogram& step_seconds;         // skein_worker_step_seconds
  prometheus::Histogram& step_rows;            // skein_worker_step_rows
  prometheus::Counter& mixture_rows;           // skein_worker_mixture_rows_total
  prometheus::Counter& adapter_rows;           // skein_worker_adapter_rows_total
  prometheus::Gauge& running_sequences;        // skein_worker_running_sequences
  prometheus::Gauge& waiting_requests;         // skein_worker_waiting_requests
  prometheus::Gauge& waiting_tokens;           // skein_worker_waiting_tokens
  prometheus::Gauge& free_state_slots;         // skein_worker_free_state_slots
  prometheus::Gauge& free_kv_pages;            // skein_worker_free_kv_pages
  prometheus::Gauge& state_slots;              // skein_worker_state_slots
  prometheus::Gauge& state_bytes;              // skein_worker_state_bytes
  prometheus::Gauge& kv_pages;                 // skein_worker_kv_pages
  // skein_worker_registry_entries{kind}
  prometheus::Gauge& registered_states;
  prometheus::Gauge& registered_mixtures;
  prometheus::Gauge& registered_adapters;
  prometheus::Gauge& states_in_use;    // skein_worker_states_in_use
  prometheus::Gauge& adapters_in_use;  // skein_worker_adapters_in_use
  // skein_worker_finished_choices_total{reason}
  prometheus::Counter& finished_by_stop;
  prometheus::Counter& finished_by_length;

 private:
  prometheus::Counter& Requests(const std::string& outcome);
  prometheus::Counter& Loads(const std::string& kind, const std::string& outcome);
  prometheus::Counter& Rejections(const std::string& reason);
};

// When a certificate of this worker ("server" or "client_ca") stops being valid:
// skein_worker_certificate_expiry_timestamp_seconds.
void SetCertificateExpiry(MetricsRegistry& registry, const std::string& model,
                          const std::string& certificate, double unix_seconds);

}  // namespace skein
