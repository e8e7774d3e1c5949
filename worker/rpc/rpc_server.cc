#include "worker/rpc/rpc_server.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/impl/server_builder_option.h"
#include "grpcpp/impl/server_builder_plugin.h"
#include "grpcpp/server_builder.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/tls/grpc_credentials.h"

namespace skein {
namespace {

constexpr int kMaxRequestBytes = 16 << 20;
constexpr int kKeepaliveMs = 30'000;     // finds clients that vanished without a word
constexpr int kMinClientPingMs = 5'000;  // gateways may ping idle connections so often

// Reflection is in every server of a process that links it: this takes it out again.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    const auto is_reflection = [](const std::unique_ptr<grpc::ServerBuilderPlugin>& plugin) {
      return plugin->name() == "proto_server_reflection";
    };
    plugins->erase(std::remove_if(plugins->begin(), plugins->end(), is_reflection), plugins->end());
  }
};

void SetChannelOptions(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxRequestBytes);
  // Two workers on one port would each get some of the calls: rather fail.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinClientPingMs);
}

}  // namespace

RpcServer::RpcServer(ModelHost& host) : host_(host), inference_(host), worker_(host) {}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(ModelHost& host,
                                                            const Options& options) {
  ASSIGN_OR_RETURN(const HostPort listen, ParseHostPort(options.listen));
  // Both hold for every server that the process builds from now on.
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  std::unique_ptr<RpcServer> server(new RpcServer(host));
  grpc::ServerBuilder builder;
  SetChannelOptions(builder);
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  int port = 0;
  builder.AddListeningPort(options.listen, MakeServerCredentials(options.tls), &port);
  builder.RegisterService(&server->inference_);
  builder.RegisterService(&server->worker_);
  builder.RegisterService(&server->registry_);
  builder.RegisterService(&server->states_);
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen, ": in use, or not an address here"));
  }
  server->address_ = FormatHostPort(listen.host, static_cast<uint16_t>(port));
  RpcServer* self = server.get();
  server->subscription_ =
      host.Subscribe([self](const HostStatus& status) { self->OnHostStatus(status); });
  return server;
}

RpcServer::~RpcServer() { Stop(absl::ZeroDuration()); }

void RpcServer::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  host_.Unsubscribe(subscription_);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
}

void RpcServer::OnHostStatus(const HostStatus& status) {
  if (last_state_ == status.state) return;
  last_state_ = status.state;
  const bool serving = status.state == ModelState::kReady;
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus(host_.name(), serving);
}

}  // namespace skein
