#include "worker/rpc/rpc_server.h"

#include "absl/strings/str_cat.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/rpc/server_options.h"
#include "common/tls/grpc_credentials.h"

namespace skein {
namespace {

constexpr char kLivenessService[] = "liveness";
constexpr char kStartupService[] = "startup";

}  // namespace

RpcServer::RpcServer(ModelHost& host) : host_(host), inference_(host), worker_(host) {}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(ModelHost& host,
                                                            const Options& options) {
  ASSIGN_OR_RETURN(const HostPort listen, ParseHostPort(options.listen));
  std::unique_ptr<RpcServer> server(new RpcServer(host));
  grpc::ServerBuilder builder;
  SetServerOptions({.reflection = options.reflection}, builder);
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
  self->SetAlive(true);
  self->server_->GetHealthCheckService()->SetServingStatus(kStartupService, false);
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

void RpcServer::SetAlive(bool alive) {
  server_->GetHealthCheckService()->SetServingStatus(kLivenessService, alive);
}

void RpcServer::OnHostStatus(const HostStatus& status) {
  if (last_state_ == status.state) return;
  last_state_ = status.state;
  const bool serving = status.state == ModelState::kReady;
  grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
  health->SetServingStatus("", serving);
  health->SetServingStatus(host_.name(), serving);
  if (serving) health->SetServingStatus(kStartupService, true);
}

}  // namespace skein
