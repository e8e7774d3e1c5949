#include "worker/vllm_metrics.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace skein {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

struct Alias {
  const char* ours;
  const char* theirs;
};

constexpr Alias kAliases[] = {
    {"skein_worker_running_sequences", "vllm:num_requests_running"},
    {"skein_worker_waiting_requests", "vllm:num_requests_waiting"},
    {"skein_worker_prompt_tokens_total", "vllm:prompt_tokens_total"},
    {"skein_worker_generated_tokens_total", "vllm:generation_tokens_total"},
    {"skein_worker_first_token_seconds", "vllm:time_to_first_token_seconds"},
    {"skein_worker_inter_token_seconds", "vllm:inter_token_latency_seconds"},
    {"skein_worker_inter_token_seconds", "vllm:time_per_output_token_seconds"},
    {"skein_worker_request_seconds", "vllm:e2e_request_latency_seconds"},
    {"skein_worker_queue_seconds", "vllm:request_queue_time_seconds"},
    {"skein_worker_step_rows", "vllm:iteration_tokens_total"},
};

const MetricFamily* Find(const std::vector<MetricFamily>& families, absl::string_view name) {
  const auto found = std::find_if(families.begin(), families.end(),
                                  [&](const MetricFamily& family) { return family.name == name; });
  return found == families.end() ? nullptr : &*found;
}

std::string Label(const ClientMetric& metric, absl::string_view name) {
  for (const ClientMetric::Label& label : metric.label) {
    if (label.name == name) return label.value;
  }
  return "";
}

double GaugeValue(const std::vector<MetricFamily>& families, absl::string_view name) {
  const MetricFamily* family = Find(families, name);
  return family == nullptr || family->metric.empty() ? 0 : family->metric[0].gauge.value;
}

MetricFamily Renamed(MetricFamily family, const char* name) {
  family.name = name;
  for (ClientMetric& metric : family.metric) {
    for (ClientMetric::Label& label : metric.label) {
      if (label.name == "model") label.name = "model_name";
    }
  }
  return family;
}

MetricFamily Gauge(const char* name, const char* help, std::vector<ClientMetric::Label> labels,
                   double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = MetricType::Gauge;
  family.metric.push_back(std::move(metric));
  return family;
}

// How much of the scarcer of the two is in use: state slots, and KV pages where a model has them.
double CacheUsage(const std::vector<MetricFamily>& families) {
  double usage = 0;
  for (const auto& [all, free] :
       {Alias{"skein_worker_state_slots", "skein_worker_free_state_slots"},
        Alias{"skein_worker_kv_pages", "skein_worker_free_kv_pages"}}) {
    const double capacity = GaugeValue(families, all);
    if (capacity > 0) usage = std::max(usage, 1 - GaugeValue(families, free) / capacity);
  }
  return usage;
}

// finished_reason: stop and length count choices; abort counts requests whose client left.
MetricFamily FinishedReasons(const std::vector<MetricFamily>& families, const std::string& model) {
  MetricFamily family;
  family.name = "vllm:request_success_total";
  family.help = "Finished choices by reason, and requests whose client left.";
  family.type = MetricType::Counter;
  const auto add = [&](const std::string& reason, double value) {
    ClientMetric metric;
    metric.label = {{"model_name", model}, {"finished_reason", reason}};
    metric.counter.value = value;
    family.metric.push_back(std::move(metric));
  };
  const MetricFamily* finished = Find(families, "skein_worker_finished_choices_total");
  if (finished != nullptr) {
    for (const ClientMetric& metric : finished->metric) {
      add(Label(metric, "reason"), metric.counter.value);
    }
  }
  double aborted = 0;
  if (const MetricFamily* requests = Find(families, "skein_worker_requests_total")) {
    for (const ClientMetric& metric : requests->metric) {
      if (Label(metric, "outcome") == "cancelled") aborted += metric.counter.value;
    }
  }
  add("abort", aborted);
  return family;
}

}  // namespace

VllmMetrics::VllmMetrics(std::shared_ptr<prometheus::Registry> registry, Options options)
    : registry_(std::move(registry)), options_(options) {}

std::vector<MetricFamily> VllmMetrics::Collect() const {
  const std::vector<MetricFamily> ours = registry_->Collect();
  std::vector<MetricFamily> theirs;
  for (const Alias& alias : kAliases) {
    if (const MetricFamily* family = Find(ours, alias.ours)) {
      theirs.push_back(Renamed(*family, alias.theirs));
    }
  }
  const MetricFamily* slots = Find(ours, "skein_worker_state_slots");
  if (slots == nullptr || slots->metric.empty()) return theirs;
  const std::string model = Label(slots->metric[0], "model");
  theirs.push_back(FinishedReasons(ours, model));
  const double usage = CacheUsage(ours);
  for (const char* name : {"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}) {
    theirs.push_back(Gauge(name, "State slots or KV pages in use, whichever is scarcer; 1 is all.",
                           {{"model_name", model}}, usage));
  }
  const double pages = GaugeValue(ours, "skein_worker_kv_pages");
  const double blocks = pages > 0 ? pages : GaugeValue(ours, "skein_worker_state_slots");
  theirs.push_back(Gauge("vllm:cache_config_info",
                         "Tokens of a KV page, and pages; without pages, state slots.",
                         {{"model_name", model},
                          {"block_size", absl::StrCat(options_.page_tokens)},
                          {"num_gpu_blocks", absl::StrCat(blocks)}},
                         1));
  theirs.push_back(Gauge("vllm:lora_requests_info",
                         "Adapters in use; the value is the time, Unix seconds.",
                         {{"model_name", model},
                          {"max_lora", "0"},
                          {"running_lora_adapters", ""},
                          {"waiting_lora_adapters", ""}},
                         absl::ToDoubleSeconds(options_.clock->Now() - absl::UnixEpoch())));
  return theirs;
}

}  // namespace skein
