#include "worker/rpc/rpc_server.h"

#include <utility>

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

// Listens on `listen` and starts; `address` becomes HOST:PORT with the port that was taken.
absl::StatusOr<std::unique_ptr<grpc::Server>> BuildAndStart(
    grpc::ServerBuilder& builder, const std::string& listen,
    std::shared_ptr<grpc::ServerCredentials> credentials, std::string& address) {
  ASSIGN_OR_RETURN(const HostPort wanted, ParseHostPort(listen));
  int port = 0;
  builder.AddListeningPort(listen, std::move(credentials), &port);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", listen, ": in use, or not an address here"));
  }
  address = FormatHostPort(wanted.host, static_cast<uint16_t>(port));
  return server;
}

}  // namespace

RpcServer::RpcServer(ModelHost& host, RegistryKeeper& keeper, const Options& options)
    : host_(host),
      inference_(host, options.access_log),
      worker_(host, options.models),
      changes_(host, keeper),
      registry_(host, changes_) {}

absl::StatusOr<std::unique_ptr<RpcServer>> RpcServer::Start(ModelHost& host, RegistryKeeper& keeper,
                                                            const Options& options) {
  std::unique_ptr<RpcServer> server(new RpcServer(host, keeper, options));
  grpc::ServerBuilder builder;
  SetServerOptions({.reflection = options.reflection}, builder);
  builder.RegisterService(&server->inference_);
  builder.RegisterService(&server->worker_);
  builder.RegisterService(&server->registry_);
  builder.RegisterService(&server->states_);
  ASSIGN_OR_RETURN(
      server->server_,
      BuildAndStart(builder, options.listen, MakeServerCredentials(options.tls), server->address_));
  if (!options.health_listen.empty()) RETURN_IF_ERROR(server->StartHealth(options.health_listen));
  RpcServer* self = server.get();
  self->SetAlive(true);
  self->SetHealth(kStartupService, false);
  server->subscription_ =
      host.Subscribe([self](const HostStatus& status) { self->OnHostStatus(status); });
  return server;
}

absl::Status RpcServer::StartHealth(const std::string& listen) {
  grpc::ServerBuilder builder;
  SetServerOptions({}, builder);
  builder.RegisterCallbackGenericService(&no_service_);  // without any, gRPC does not start
  ASSIGN_OR_RETURN(health_server_,
                   BuildAndStart(builder, listen, MakeServerCredentials({}), health_address_));
  return absl::OkStatus();
}

RpcServer::~RpcServer() { Stop(absl::ZeroDuration()); }

void RpcServer::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  host_.Unsubscribe(subscription_);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
  if (health_server_ != nullptr) health_server_->Shutdown(absl::ToChronoTime(absl::Now()));
  health_server_.reset();
}

void RpcServer::SetAlive(bool alive) { SetHealth(kLivenessService, alive); }

void RpcServer::SetHealth(const std::string& service, bool serving) {
  for (grpc::Server* server : {server_.get(), health_server_.get()}) {
    if (server != nullptr) server->GetHealthCheckService()->SetServingStatus(service, serving);
  }
}

void RpcServer::OnHostStatus(const HostStatus& status) {
  if (last_state_ == status.state && last_model_ == status.model) return;
  const bool first = !last_state_.has_value();
  last_state_ = status.state;
  const bool serving = status.state == ModelState::kReady;
  if (last_model_ != status.model && !last_model_.empty()) SetHealth(last_model_, false);
  last_model_ = status.model;
  SetHealth("", serving);
  if (!status.model.empty()) SetHealth(status.model, serving);
  if (serving || (first && status.state == ModelState::kEmpty)) SetHealth(kStartupService, true);
}

}  // namespace skein
