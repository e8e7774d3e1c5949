#include "gateway/grpc/grpc_server.h"

#include <algorithm>
#include <utility>

#include <pthread.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/server_builder.h>

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/rpc/server_options.h"
#include "common/tls/grpc_credentials.h"
#include "gateway/grpc/methods.h"

namespace skein {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr absl::Duration kCloseTime = absl::Milliseconds(100);
// Further calls of a connection wait at their client until one ends.
constexpr int kMaxStreams = 1024;
// Requests are read before their keys are known: from here on gRPC cuts calls off. It is slow at
// it, so fast senders get beyond.
constexpr size_t kQuotaRequests = 64;
constexpr size_t kMinQuotaBytes = size_t{1} << 30;

void SetOptions(const config::v1::GatewayConfig& config, grpc::ServerBuilder& builder) {
  SetServerOptions({.max_request_bytes = config.limits().max_body_bytes(),
                    .reflection = config.grpc_reflection()},
                   builder);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(config.limits().max_header_bytes()));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(config.limits().idle_timeout_s()) * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  grpc::ResourceQuota quota("front");
  quota.Resize(std::max(kMinQuotaBytes, kQuotaRequests * config.limits().max_body_bytes()));
  builder.SetResourceQuota(quota);
}

}  // namespace

GrpcServer::GrpcServer(GatewayContext& context)
    : context_(context),
      open_calls_(context.config.limits().max_connections()),
      front_{context, open_calls_},
      inference_(front_),
      registry_(front_) {
  ExpectCalls(context.metrics);
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(GatewayContext& context) {
  const std::string& listen = context.config.grpc_listen();
  ASSIGN_OR_RETURN(const HostPort host_port, ParseHostPort(listen));
  std::unique_ptr<GrpcServer> server(new GrpcServer(context));
  grpc::ServerBuilder builder;
  SetOptions(context.config, builder);
  int port = 0;
  builder.AddListeningPort(listen, MakeServerCredentials(context.config.tls()), &port);
  builder.RegisterService(&server->inference_);
  builder.RegisterService(&server->registry_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": in use, or not an address here"));
  }
  server->address_ = FormatHostPort(host_port.host, static_cast<uint16_t>(port));
  server->TellHealth(/*draining=*/false);
  server->thread_ = std::thread([self = server.get()] { self->Run(); });
  return server;
}

GrpcServer::~GrpcServer() { Stop(absl::ZeroDuration()); }

void GrpcServer::Drain() {
  open_calls_.Drain();
  const std::lock_guard<std::mutex> lock(mu_);
  draining_ = true;
  changed_.notify_all();
}

bool GrpcServer::Stop(absl::Duration grace) {
  if (server_ == nullptr) return true;
  Drain();
  // The port stays open meanwhile, so that clients hear what is going on. Watchers of health and
  // streams of reflection never end by themselves: they are not waited for.
  const bool all_ended = open_calls_.WaitForNone(grace);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + kCloseTime));
  server_->Wait();
  {
    const std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
  server_.reset();
  return all_ended;
}

void GrpcServer::Run() {
  pthread_setname_np(pthread_self(), "skein-grpc");
  std::unique_lock<std::mutex> lock(mu_);
  while (!stopping_) {
    const bool draining = draining_;
    lock.unlock();
    TellHealth(draining);
    open_calls_.LookAfter(context_.clock.Steady());
    lock.lock();
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kTick),
                      [&] { return stopping_ || draining_ != draining; });
  }
}

// Telling the same again is free: watchers hear of changes.
void GrpcServer::TellHealth(bool draining) {
  grpc::HealthCheckServiceInterface& health = *server_->GetHealthCheckService();
  std::set<std::string> ready;
  if (!draining) {
    for (const v1::ModelInfo& model : context_.workers.Models()) ready.insert(model.name());
  }
  health.SetServingStatus("liveness", true);
  health.SetServingStatus("", !draining && context_.workers.Ready());
  told_models_.insert(ready.begin(), ready.end());
  for (const std::string& model : told_models_) {
    health.SetServingStatus(model, ready.count(model) != 0);
  }
}

}  // namespace skein
