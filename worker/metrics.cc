#include "worker/metrics.h"

namespace skein {
namespace {

constexpr const char* kRejections[] = {"queue_requests", "queue_tokens", "too_large",
                                       "loading",        "draining",     "failed"};

prometheus::Gauge& AddRegistryGauge(MetricsScope& registry, const std::string& model,
                                    const std::string& kind) {
  return registry.AddGauge("skein_worker_registry_entries",
                           "Registered states, mixtures and adapters.",
                           {{"model", model}, {"kind", kind}});
}

prometheus::Counter& AddFinishCounter(MetricsScope& registry, const std::string& model,
                                      const std::string& reason) {
  return registry.AddCounter("skein_worker_finished_choices_total",
                             "Choices that came to their end, by reason.",
                             {{"model", model}, {"reason", reason}});
}

}  // namespace

WorkerMetrics::WorkerMetrics(MetricsRegistry& registry, const std::string& model)
    : scope_(registry),
      model_(model),
      prompt_tokens(scope_.AddCounter("skein_worker_prompt_tokens_total",
                                      "Prompt tokens fed to the model.", {{"model", model}})),
      generated_tokens(scope_.AddCounter("skein_worker_generated_tokens_total", "Tokens drawn.",
                                         {{"model", model}})),
      queue_seconds(scope_.AddHistogram("skein_worker_queue_seconds",
                                        "From acceptance to a state slot.", WaitBuckets(),
                                        {{"model", model}})),
      first_token_seconds(scope_.AddHistogram("skein_worker_first_token_seconds",
                                              "From acceptance to the first drawn token.",
                                              LongLatencyBuckets(), {{"model", model}})),
      inter_token_seconds(scope_.AddHistogram("skein_worker_inter_token_seconds",
                                              "Between two drawn tokens of a sequence.",
                                              ShortLatencyBuckets(), {{"model", model}})),
      request_seconds(scope_.AddHistogram("skein_worker_request_seconds",
                                          "From acceptance to the end of a request.",
                                          LongLatencyBuckets(), {{"model", model}})),
      steps(
          scope_.AddCounter("skein_worker_steps_total", "Steps of the loop.", {{"model", model}})),
      step_seconds(scope_.AddHistogram("skein_worker_step_seconds", "One step of the loop.",
                                       ShortLatencyBuckets(), {{"model", model}})),
      step_rows(scope_.AddHistogram("skein_worker_step_rows", "Rows of a step.", RowBuckets(),
                                    {{"model", model}})),
      mixture_rows(scope_.AddCounter("skein_worker_mixture_rows_total",
                                     "Rows of sequences that mix several states.",
                                     {{"model", model}})),
      adapter_rows(scope_.AddCounter("skein_worker_adapter_rows_total",
                                     "Rows of sequences that have an adapter.",
                                     {{"model", model}})),
      running_sequences(scope_.AddGauge("skein_worker_running_sequences",
                                        "State slots held by sequences.", {{"model", model}})),
      waiting_requests(scope_.AddGauge("skein_worker_waiting_requests",
                                       "Accepted requests without a slot.", {{"model", model}})),
      waiting_tokens(scope_.AddGauge("skein_worker_waiting_tokens",
                                     "Prompt tokens of requests without a slot.",
                                     {{"model", model}})),
      free_state_slots(scope_.AddGauge("skein_worker_free_state_slots", "Free state slots.",
                                       {{"model", model}})),
      free_kv_pages(
          scope_.AddGauge("skein_worker_free_kv_pages", "Free KV pages.", {{"model", model}})),
      state_slots(
          scope_.AddGauge("skein_worker_state_slots", "All state slots.", {{"model", model}})),
      state_bytes(scope_.AddGauge("skein_worker_state_bytes",
                                  "Memory of the recurrent states of all slots.",
                                  {{"model", model}})),
      kv_pages(scope_.AddGauge("skein_worker_kv_pages", "All KV pages.", {{"model", model}})),
      registered_states(AddRegistryGauge(scope_, model, "state")),
      registered_mixtures(AddRegistryGauge(scope_, model, "mixture")),
      registered_adapters(AddRegistryGauge(scope_, model, "adapter")),
      states_in_use(scope_.AddGauge("skein_worker_states_in_use",
                                    "Tuned states that running or waiting requests hold.",
                                    {{"model", model}})),
      adapters_in_use(scope_.AddGauge("skein_worker_adapters_in_use",
                                      "Adapters that running or waiting requests hold.",
                                      {{"model", model}})),
      finished_by_stop(AddFinishCounter(scope_, model, "stop")),
      finished_by_length(AddFinishCounter(scope_, model, "length")) {
  scope_
      .AddGauge("skein_worker_build_info", "What this program was built from; always 1.",
                {{"model", model}, {"version", SKEIN_VERSION}, {"cuda", SKEIN_CUDA ? "1" : "0"}})
      .Set(1);
  for (const std::string& outcome : StatusLabels()) Requests(outcome);
  for (const char* kind : {"state", "adapter"}) {
    for (const std::string& outcome : StatusLabels()) Loads(kind, outcome);
  }
  for (const char* reason : kRejections) Rejections(reason);
}

prometheus::Counter& WorkerMetrics::Requests(const std::string& outcome) {
  return scope_.AddCounter("skein_worker_requests_total", "Ended requests by outcome.",
                           {{"model", model_}, {"outcome", outcome}});
}

prometheus::Counter& WorkerMetrics::Loads(const std::string& kind, const std::string& outcome) {
  return scope_.AddCounter("skein_worker_registry_loads_total", "Files read for the registry.",
                           {{"model", model_}, {"kind", kind}, {"outcome", outcome}});
}

prometheus::Counter& WorkerMetrics::Rejections(const std::string& reason) {
  return scope_.AddCounter("skein_worker_rejected_requests_total",
                           "Requests that were not taken, by what stood against them.",
                           {{"model", model_}, {"reason", reason}});
}

void WorkerMetrics::CountRequest(const absl::Status& outcome) {
  Requests(StatusLabel(outcome)).Increment();
}

void WorkerMetrics::CountRejected(const std::string& reason) { Rejections(reason).Increment(); }

void WorkerMetrics::CountStateLoad(const absl::Status& outcome) {
  Loads("state", StatusLabel(outcome)).Increment();
}

void WorkerMetrics::CountAdapterLoad(const absl::Status& outcome) {
  Loads("adapter", StatusLabel(outcome)).Increment();
}

void SetCertificateExpiry(MetricsRegistry& registry, const std::string& model,
                          const std::string& certificate, double unix_seconds) {
  registry
      .AddGauge("skein_worker_certificate_expiry_timestamp_seconds",
                "When the certificate stops being valid.",
                {{"model", model}, {"certificate", certificate}})
      .Set(unix_seconds);
}

}  // namespace skein
