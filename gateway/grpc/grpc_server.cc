#include "gateway/grpc/grpc_server.h"

#include <algorithm>
#include <utility>

#include <pthread.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <grpcpp/ext/health_check_service_server_builder_option.h>
#include <grpcpp/server_builder.h>

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/rpc/server_options.h"
#include "common/tls/grpc_credentials.h"
#include "gateway/grpc/methods.h"

namespace skein {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(200);
constexpr absl::Duration kGuardTick = absl::Milliseconds(20);
constexpr absl::Duration kCloseTime = absl::Milliseconds(100);
// Further calls of a connection wait at their client until one ends.
constexpr int kMaxStreams = 1024;
// What a client may send of a request before it is read, and fixed: gRPC would let fast ones send
// more.
constexpr int kStreamWindowBytes = 64 << 10;
// Calls that wait for room hold what came of them meanwhile.
constexpr size_t kMaxWaiting = 1024;

void SetOptions(const config::v1::GatewayConfig& config, grpc::ServerBuilder& builder) {
  SetServerOptions({.max_request_bytes = config.limits().max_body_bytes(),
                    .reflection = config.grpc_reflection()},
                   builder);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE,
                             static_cast<int>(config.limits().max_header_bytes()));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                             static_cast<int>(config.limits().idle_timeout_s()) * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
  // gRPC unpacks without a bound. Such calls end with UNIMPLEMENTED.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetOption(std::make_unique<grpc::HealthCheckServiceServerBuilderOption>(nullptr));
}

// No caller with a key takes more than half, so that a slow one leaves room for others.
UploadBudget::Rules UploadRules(const config::v1::LimitsConfig& limits) {
  const uint64_t request_bytes = limits.max_body_bytes();
  const uint64_t total_bytes = limits.max_upload_bytes();
  return {.total_bytes = total_bytes,
          .request_bytes = request_bytes,
          .caller_bytes = std::max(request_bytes, total_bytes / 2),
          .max_waiting = kMaxWaiting};
}

}  // namespace

GrpcServer::GrpcServer(GatewayContext& context)
    : context_(context),
      open_calls_(context.config.limits().max_connections()),
      uploads_(UploadRules(context.config.limits())),
      guard_(context.config.limits().max_body_bytes()),
      front_{context, open_calls_, {uploads_, guard_, context.clock}},
      health_(context.config.limits().max_body_bytes(), context.config.limits().max_connections(),
              guard_, context.clock),
      service_(front_, health_) {
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
  builder.RegisterCallbackGenericService(&server->service_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": in use, or not an address here"));
  }
  server->port_ = static_cast<uint16_t>(port);
  server->address_ = FormatHostPort(host_port.host, server->port_);
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
  PeerSockets sockets(port_);
  absl::Time next_tick = absl::InfinitePast();
  bool told_draining = false;
  std::unique_lock<std::mutex> lock(mu_);
  while (!stopping_) {
    const bool draining = draining_;
    lock.unlock();
    const absl::Time now = context_.clock.Steady();
    guard_.Look(sockets);
    if (now >= next_tick || draining != told_draining) {
      told_draining = draining;
      next_tick = now + kTick;
      TellHealth(draining);
      open_calls_.LookAfter(now);
      health_.LookAfter(now);
    }
    lock.lock();
    changed_.wait_for(lock, absl::ToChronoMilliseconds(kGuardTick),
                      [&] { return stopping_ || draining_ != draining; });
  }
}

// Telling the same again is free: watchers hear of changes.
void GrpcServer::TellHealth(bool draining) {
  std::set<std::string> ready;
  if (!draining) {
    for (const v1::ModelInfo& model : context_.workers.Models()) ready.insert(model.name());
  }
  health_.Set("liveness", true);
  health_.Set("", !draining && context_.workers.Ready());
  told_models_.insert(ready.begin(), ready.end());
  for (const std::string& model : told_models_) {
    health_.Set(model, ready.count(model) != 0);
  }
}

}  // namespace skein
