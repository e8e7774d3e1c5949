#include "gateway/worker_series.h"

namespace skein {

WorkerSeries::WorkerSeries(MetricsRegistry& registry)
    : in_flight_(prometheus::BuildGauge()
                     .Name("skein_gateway_worker_in_flight")
                     .Help("Sequences sent to a worker that have not ended.")
                     .Register(*registry.registry())),
      requests_(prometheus::BuildCounter()
                    .Name("skein_gateway_worker_requests_total")
                    .Help("Ended calls to a worker by outcome.")
                    .Register(*registry.registry())) {}

void WorkerSeries::SetInFlight(const std::string& worker, int sequences) {
  const std::lock_guard<std::mutex> lock(mu_);
  Series& series = series_[worker];
  if (series.in_flight == nullptr) {
    series.in_flight = &in_flight_.Add({{"worker", worker}});
    for (const std::string& outcome : StatusLabels()) {
      series.requests[outcome] = &requests_.Add({{"worker", worker}, {"outcome", outcome}});
    }
  }
  series.in_flight->Set(sequences);
}

void WorkerSeries::CountRequest(const std::string& worker, const std::string& outcome) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = series_.find(worker);
  if (it == series_.end()) return;
  prometheus::Counter*& counter = it->second.requests[outcome];
  if (counter == nullptr) {
    counter = &requests_.Add({{"worker", worker}, {"outcome", outcome}});
  }
  counter->Increment();
}

void WorkerSeries::Remove(const std::string& worker) {
  const std::lock_guard<std::mutex> lock(mu_);
  const auto it = series_.find(worker);
  if (it == series_.end()) return;
  in_flight_.Remove(it->second.in_flight);
  for (const auto& [outcome, counter] : it->second.requests) requests_.Remove(counter);
  series_.erase(it);
}

}  // namespace skein
