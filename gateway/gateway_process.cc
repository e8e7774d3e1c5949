#include "gateway/gateway_process.h"

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/base/status_macros.h"
#include "common/config/access_config.h"
#include "common/metrics/metrics.h"
#include "common/metrics/process_metrics.h"
#include "common/tls/certificate_monitor.h"
#include "common/tls/grpc_credentials.h"
#include "gateway/access/access_control.h"
#include "gateway/endpoints/dispatch.h"
#include "gateway/endpoints/gateway_context.h"
#include "gateway/endpoints/routes.h"
#include "gateway/grpc/grpc_server.h"
#include "gateway/http/http_server.h"
#include "gateway/http/server_options.h"
#include "gateway/metrics.h"
#include "gateway/routing/pool_options.h"
#include "gateway/routing/worker_pool.h"
#include "gateway/rpc/inference_client.h"
#include "gateway/rwkv_infer/routes.h"

namespace skein {
namespace {

using config::v1::GatewayConfig;

// Cancelled calls end at once; this is for a gRPC library in trouble.
constexpr absl::Duration kCallGrace = absl::Seconds(5);

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Every connection is a file descriptor, and the usual soft limit is 1024.
void RaiseFileLimit(uint32_t max_connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < max_connections) {
    LogWarning("fewer files than connections are allowed",
               {{"files", absl::StrCat(limit.rlim_cur)},
                {"max_connections", absl::StrCat(max_connections)}});
  }
}

using RequestHandler = void (*)(const HttpRequest&, GatewayContext&,
                                std::shared_ptr<HttpResponder>);

absl::StatusOr<std::unique_ptr<HttpServer>> StartServer(HttpServerOptions options,
                                                        GatewayContext& context,
                                                        RequestHandler handler) {
  options.heartbeats = context.heartbeats;
  return HttpServer::Start(
      options,
      [&context, handler](const HttpRequest& request, std::shared_ptr<HttpResponder> out) {
        handler(request, context, std::move(out));
      },
      context.metrics);
}

// Null without an address. Open from before the first request to after the last one.
absl::StatusOr<std::unique_ptr<HttpServer>> StartProbeServer(const GatewayConfig& config,
                                                             GatewayContext& context) {
  if (config.metrics_listen().empty()) return nullptr;
  ASSIGN_OR_RETURN(std::unique_ptr<HttpServer> server,
                   StartServer(ToProbeServerOptions(config), context, HandleProbe));
  LogInfo("metrics listening", {{"address", server->address()}});
  return server;
}

// Null without an address.
absl::StatusOr<std::unique_ptr<HttpServer>> StartRwkvInferServer(const GatewayConfig& config,
                                                                 GatewayContext& context) {
  if (config.rwkv_infer_listen().empty()) return nullptr;
  ExpectRequests(RwkvInferRoutes(), context.metrics);
  HttpServerOptions options = ToRwkvInferOptions(config);
  options.check_head = [&context](const HttpRequest& request) {
    return RefuseRwkvInferByHead(request, context);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<HttpServer> server,
                   StartServer(std::move(options), context, HandleRwkvInfer));
  LogInfo("rwkv-infer listening", {{"address", server->address()}});
  return server;
}

absl::StatusOr<std::unique_ptr<AccessControl>> MakeAccess(const GatewayConfig& config,
                                                          GatewayMetrics& metrics) {
  if (!config.keys_file().empty()) {
    return AccessControl::Create(config.keys_file(), Clock::Real(), metrics);
  }
  if (!AllOnLoopback(config)) {
    LogWarning("no API keys: whoever reaches this address may use everything",
               {{"address", config.listen()}});
  }
  return std::make_unique<AccessControl>(Clock::Real(), metrics);
}

absl::StatusOr<std::unique_ptr<CertificateMonitor>> WatchWorkerCertificates(
    const config::v1::ClientTls& tls, GatewayMetrics& metrics) {
  std::vector<WatchedCertificate> certificates;
  if (IsOn(tls)) certificates.push_back({"worker_ca", tls.ca()});
  if (!tls.certificate().empty()) {
    certificates.push_back({"worker_client", tls.certificate(), tls.key()});
  }
  return CertificateMonitor::Create(
      std::move(certificates), [&metrics](const std::string& name, absl::Time expiry) {
        metrics.SetCertificateExpiry(name, absl::ToDoubleSeconds(expiry - absl::UnixEpoch()));
      });
}

// Null without an address.
absl::StatusOr<std::unique_ptr<GrpcServer>> StartGrpcServer(GatewayContext& context) {
  if (context.config.grpc_listen().empty()) return nullptr;
  ASSIGN_OR_RETURN(std::unique_ptr<GrpcServer> server, GrpcServer::Start(context));
  LogInfo("grpc listening", {{"address", server->address()}});
  return server;
}

absl::Status Serve(const GatewayConfig& config, const sigset_t& signals) {
  MetricsRegistry registry;
  registry.AddSource(std::make_shared<ProcessMetrics>());
  GatewayMetrics metrics(registry);
  ExpectRequests(metrics);
  WorkerPoolOptions pool_options = ToPoolOptions(config.routing(), metrics);
  pool_options.credentials = MakeChannelCredentials(config.worker_tls());
  pool_options.server_name = config.worker_tls().server_name();
  WorkerPool workers({config.worker().begin(), config.worker().end()}, pool_options);
  ASSIGN_OR_RETURN(const std::unique_ptr<CertificateMonitor> certificates,
                   WatchWorkerCertificates(config.worker_tls(), metrics));
  ASSIGN_OR_RETURN(const std::unique_ptr<AccessControl> access, MakeAccess(config, metrics));
  GatewayContext context{workers, metrics, registry, config, Clock::Real(), *access};
  context.trusted_proxies = ToTrustedProxies(config);
  context.phase = GatewayPhase::kStarting;
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> probe_server,
                   StartProbeServer(config, context));
  HttpServerOptions options = ToServerOptions(config);
  options.check_head = [&context](const HttpRequest& request) {
    return RefuseByHead(request, context);
  };
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> server,
                   StartServer(std::move(options), context, HandleRequest));
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> rwkv_infer_server,
                   StartRwkvInferServer(config, context));
  ASSIGN_OR_RETURN(const std::unique_ptr<GrpcServer> grpc_server, StartGrpcServer(context));
  context.phase = GatewayPhase::kServing;
  LogInfo("listening",
          {{"address", server->address()}, {"workers", absl::StrJoin(config.worker(), ",")}});

  int signal = 0;
  sigwait(&signals, &signal);
  LogInfo("draining", {{"timeout_s", absl::StrCat(config.drain_timeout_s())}});
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the next one ends the process
  context.phase = GatewayPhase::kDraining;
  const absl::Duration grace = absl::Seconds(config.drain_timeout_s());
  bool all_ended = true;
  bool all_of_rwkv_infer_ended = true;
  {
    const std::jthread http([&] { all_ended = server->Stop(grace); });
    const std::jthread rwkv_infer([&] {
      if (rwkv_infer_server != nullptr) all_of_rwkv_infer_ended = rwkv_infer_server->Stop(grace);
    });
    if (grpc_server != nullptr && !grpc_server->Stop(grace)) LogWarning("gRPC calls were cut");
  }
  if (!all_ended || !all_of_rwkv_infer_ended) LogWarning("answers were cut");
  if (!WaitForCalls(kCallGrace)) {
    LogError("calls to workers do not end");
    std::_Exit(1);  // they would use what is destroyed next
  }
  return absl::OkStatus();
}

}  // namespace

int RunGateway(const GatewayConfig& config) {
  PrepareProcess();
  const sigset_t signals = EndSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // in all threads: they inherit it
  RaiseFileLimit(config.limits().max_connections());
  const absl::Status status = Serve(config, signals);
  if (!status.ok()) {
    LogError("cannot start", {{"error", std::string(status.message())}});
    return 1;
  }
  LogInfo("stopped");
  return 0;
}

}  // namespace skein
