#include "worker/rpc/worker_process.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpc/support/log.h"
#include <prometheus/exposer.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/config/address.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process_metrics.h"
#include "common/tls/certificate_monitor.h"
#include "worker/engine/model_host.h"
#include "worker/metrics.h"
#include "worker/registry/keeper.h"
#include "worker/rpc/registry_changes.h"
#include "worker/rpc/rpc_server.h"
#include "worker/rpc/watchdog.h"
#include "worker/vllm_metrics.h"

namespace skein {
namespace {

using config::v1::WorkerConfig;
using LoadFunction = std::function<absl::StatusOr<LoadedModel>()>;

constexpr absl::Duration kSignalPoll = absl::Milliseconds(50);
constexpr absl::Duration kWatchdogPoll = absl::Milliseconds(250);
// A step that has not come back for so long after the drain's end may never do so, and the threads
// that wait for it could not be joined.
constexpr absl::Duration kHopeless = absl::Seconds(5);
// For last messages that are on their way to slow readers.
constexpr absl::Duration kStopGrace = absl::Milliseconds(250);

DType StateType(const WorkerConfig& config) {
  return config.engine().state_dtype() == "fp16" ? DType::kF16 : DType::kF32;
}

ModelSource SourceOf(const WorkerConfig& config) {
  const config::v1::ModelConfig& model = config.model();
  ModelSource source;
  source.name = model.name();
  source.path = model.path();
  source.tokenizer = model.tokenizer();
  source.chat_format = model.chat_format();
  if (model.has_rope_theta()) source.rope_theta = model.rope_theta();
  if (model.has_rms_norm_eps()) source.rms_norm_eps = model.rms_norm_eps();
  if (!model.stop().empty()) source.default_stop.emplace(model.stop().begin(), model.stop().end());
  source.state_dtype = StateType(config);
  if (model.has_merged_adapter()) {
    const config::v1::MergedAdapter& from = model.merged_adapter();
    MergedAdapterSource& merged = source.merged_adapter.emplace();
    merged.path = from.path();
    merged.name = from.name();
    if (merged.name.empty()) merged.name = std::filesystem::path(from.path()).filename().string();
    if (from.has_scaling()) merged.options.scaling = from.scaling();
    if (from.has_alpha()) merged.options.alpha = from.alpha();
  }
  return source;
}

ModelLoader::Options LoaderOptions(const WorkerConfig& config) {
  const config::v1::EngineConfig& engine = config.engine();
  ModelLoader::Options options;
  options.limits.max_sequences = static_cast<int>(engine.max_sequences());
  options.limits.max_queue = static_cast<int>(engine.max_queue());
  options.limits.max_queue_tokens = engine.max_queue_tokens();
  options.limits.max_rows_per_step = static_cast<int>(engine.max_rows_per_step());
  options.limits.prefill_chunk = static_cast<int>(engine.prefill_chunk());
  options.limits.prefill_target = absl::Milliseconds(engine.prefill_target_ms());
  options.limits.page_tokens = static_cast<int>(engine.page_tokens());
  options.limits.kv_bytes = static_cast<int64_t>(engine.kv_bytes());
  options.max_mix_states = static_cast<int>(config.registry().max_mixture_states());
  options.max_prompt_tokens = engine.max_prompt_tokens();
  options.max_tokens = engine.max_tokens();
  options.num_threads = static_cast<int>(engine.threads());
  options.use_cuda = engine.device() == "cuda";
  options.device_memory = static_cast<int64_t>(engine.device_memory());
  options.gpu.cuda.batch_invariant = engine.batch_invariant();
  options.gpu.cache_directory = engine.cache_dir();
  options.gpu.autotune = !engine.no_autotune();
  return options;
}

absl::StatusOr<ModelRequestRules> RequestRules(const WorkerConfig& config) {
  ModelRequestRules rules;
  ASSIGN_OR_RETURN(rules.models,
                   FileRoots::Create({config.model_root().begin(), config.model_root().end()},
                                     {"model_root", "--model-root"}));
  ASSIGN_OR_RETURN(rules.adapters, FileRoots::Create({config.registry().root().begin(),
                                                      config.registry().root().end()},
                                                     {"registry.root", "--registry-root"}));
  rules.use_cuda = config.engine().device() == "cuda";
  rules.state_dtype = StateType(config);
  rules.grace = absl::Seconds(config.drain_timeout_s());
  return rules;
}

// Null without an address.
absl::StatusOr<std::unique_ptr<prometheus::Exposer>> StartExposer(const std::string& listen,
                                                                  const MetricsRegistry& metrics) {
  if (listen.empty()) return nullptr;
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(listen));
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(listen, /*num_threads=*/1);
    exposer->RegisterCollectable(metrics.registry());
    for (const auto& source : metrics.sources()) exposer->RegisterCollectable(source);
    const int port = exposer->GetListeningPorts().at(0);
    LogInfo("metrics listening",
            {{"address", FormatHostPort(address.host, static_cast<uint16_t>(port))}});
    return exposer;
  } catch (const std::exception& error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, " for metrics: ", error.what()));
  }
}

absl::StatusOr<std::unique_ptr<CertificateMonitor>> WatchCertificates(const WorkerConfig& config,
                                                                      MetricsRegistry& metrics) {
  std::vector<WatchedCertificate> certificates;
  const config::v1::ServerTls& tls = config.tls();
  if (IsOn(tls)) certificates.push_back({"server", tls.certificate(), tls.key()});
  if (!tls.client_ca().empty()) certificates.push_back({"client_ca", tls.client_ca()});
  return CertificateMonitor::Create(
      std::move(certificates),
      [&metrics, model = config.model().name()](const std::string& name, absl::Time expiry) {
        SetCertificateExpiry(metrics, model, name,
                             absl::ToDoubleSeconds(expiry - absl::UnixEpoch()));
      });
}

void AddSources(const WorkerConfig& config, MetricsRegistry& metrics) {
  metrics.AddSource(std::make_shared<ProcessMetrics>());
  if (!config.vllm_metrics()) return;
  VllmMetrics::Options options;
  options.page_tokens = static_cast<int>(config.engine().page_tokens());
  metrics.AddSource(std::make_shared<VllmMetrics>(metrics.registry(), options));
}

// gRPC's own messages as log lines of ours.
void LogFromGrpc(gpr_log_func_args* message) {
  const LogLevel level = message->severity == GPR_LOG_SEVERITY_ERROR  ? LogLevel::kWarning
                         : message->severity == GPR_LOG_SEVERITY_INFO ? LogLevel::kInfo
                                                                      : LogLevel::kDebug;
  Log(level, "grpc", {{"message", message->message}});
}

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// The signal that came within `timeout`, else 0.
int WaitForSignal(const sigset_t& signals, absl::Duration timeout) {
  const timespec wait = absl::ToTimespec(timeout);
  return std::max(sigtimedwait(&signals, nullptr, &wait), 0);
}

[[noreturn]] void QuitAtOnce(int code) {
  LogWarning("quitting at once");
  std::_Exit(code);
}

void DrainUntilGone(ModelHost& host, Watchdog& watchdog, const sigset_t& signals,
                    absl::Duration timeout) {
  if (host.status().state == ModelState::kLoading) QuitAtOnce(0);  // a load cannot be broken off
  LogInfo("draining", {{"model", host.name()}, {"timeout", absl::FormatDuration(timeout)}});
  host.Drain();
  const absl::Time deadline = absl::Now() + timeout;
  while (!host.WaitGone(absl::ZeroDuration())) {
    const int signal = WaitForSignal(signals, kSignalPoll);
    if (signal != 0 && signal != SIGHUP) QuitAtOnce(1);
    watchdog.Poll();
    if (absl::Now() >= deadline) {
      LogWarning("drain timed out", {{"running", absl::StrCat(host.status().load.running)},
                                     {"waiting", absl::StrCat(host.status().load.waiting)}});
      if (host.StalledFor() >= kHopeless) QuitAtOnce(1);
      return;
    }
  }
}

absl::StatusOr<std::unique_ptr<RegistryKeeper>> MakeKeeper(const WorkerConfig& config) {
  RegistryKeeper::Options options;
  options.model = config.model().name();
  options.other_models = !config.model_root().empty();
  options.roots = {config.registry().root().begin(), config.registry().root().end()};
  options.manifest = config.registry().manifest();
  options.kept = config.registry().kept();
  options.max_mix_states = static_cast<int>(config.registry().max_mixture_states());
  options.max_adapter_bytes = static_cast<int64_t>(config.registry().max_adapter_bytes());
  return RegistryKeeper::Create(std::move(options));
}

// Until a signal asks for the end.
void ServeUntilTold(ModelHost& host, RpcServer& server, Watchdog& watchdog,
                    const sigset_t& signals) {
  while (true) {
    const int signal = WaitForSignal(signals, kWatchdogPoll);
    if (signal == SIGHUP) server.ReloadRegistry();
    if (signal != 0 && signal != SIGHUP) return;
    watchdog.Poll();
    host.ReportEntriesInUse();
  }
}

// Fails before anything is loaded if an address cannot be had.
absl::Status Serve(const WorkerConfig& config, LoadFunction load, const sigset_t& signals,
                   std::atomic<bool>& failed) {
  MetricsRegistry metrics;
  AddSources(config, metrics);
  ASSIGN_OR_RETURN(const std::unique_ptr<prometheus::Exposer> exposer,
                   StartExposer(config.metrics_listen(), metrics));
  ASSIGN_OR_RETURN(const std::unique_ptr<CertificateMonitor> certificates,
                   WatchCertificates(config, metrics));
  ASSIGN_OR_RETURN(const std::unique_ptr<RegistryKeeper> keeper, MakeKeeper(config));
  ASSIGN_OR_RETURN(ModelRequestRules rules, RequestRules(config));
  ModelHost::Options options;
  options.model = SourceOf(config);
  options.model.load = std::move(load);
  options.loader = LoaderOptions(config);
  options.metrics = &metrics;
  options.on_failure = [&failed](const absl::Status& status) {
    LogError("model failed", {{"error", std::string(status.message())}});
    failed = true;
    kill(getpid(), SIGTERM);  // wakes the main thread
  };
  ModelHost* loading = nullptr;
  options.prepare = [&](ServedModel& model) { return keeper->Restore(TargetOf(*loading, model)); };
  ModelHost host(std::move(options));
  loading = &host;
  ASSIGN_OR_RETURN(const std::unique_ptr<RpcServer> server,
                   RpcServer::Start(host, *keeper,
                                    {.listen = config.listen(),
                                     .reflection = config.reflection(),
                                     .tls = config.tls(),
                                     .health_listen = config.health_listen(),
                                     .access_log = config.access_log(),
                                     .models = std::move(rules)}));
  if (!server->health_address().empty()) {
    LogInfo("health listening", {{"address", server->health_address()}});
  }
  LogInfo("listening", {{"address", server->address()}, {"model", host.name()}});
  if (host.name().empty()) {
    LogInfo("no model yet");
  } else {
    host.StartLoading();
  }
  Watchdog watchdog(host, absl::Seconds(config.engine().stall_s()),
                    [&server](bool alive) { server->SetAlive(alive); });
  ServeUntilTold(host, *server, watchdog, signals);
  if (!failed) DrainUntilGone(host, watchdog, signals, absl::Seconds(config.drain_timeout_s()));
  server->Stop(kStopGrace);
  return absl::OkStatus();
}

}  // namespace

int RunWorker(const WorkerConfig& config, LoadFunction load) {
  PrepareProcess();
  const sigset_t signals = BlockSignals();
  gpr_set_log_function(LogFromGrpc);
  std::atomic<bool> failed{false};
  const absl::Status status = Serve(config, std::move(load), signals, failed);
  if (!status.ok()) LogError("cannot start", {{"error", std::string(status.message())}});
  if (!status.ok() || failed) return 1;
  LogInfo("stopped", {{"model", config.model().name()}});
  return 0;
}

}  // namespace skein
