// The gRPC server of a worker: its services, health by model, and reflection.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/server.h"

#include "skein/config/v1/tls.pb.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/inference_service.h"
#include "worker/rpc/model_requests.h"
#include "worker/rpc/refusing_services.h"
#include "worker/rpc/registry_changes.h"
#include "worker/rpc/registry_service.h"
#include "worker/rpc/worker_service.h"

namespace skein {

// Serves from Start to Stop. Health checks ask three questions by their service's name: "" and the
// model's name are SERVING exactly while the model is ready, "startup" once a model has been ready
// for the first time, or at once if there is none to begin with, "liveness" until SetAlive says
// otherwise. A listener for health checks alone can
// be had beside it, without TLS: what asks from outside of the process often speaks none.
class RpcServer {
 public:
  struct Options {
    std::string listen;  // HOST:PORT; port 0 takes a free one
    bool reflection = false;
    config::v1::ServerTls tls = {};  // without a certificate: plain
    std::string health_listen = {};  // the same for health checks alone; empty: no such listener
    bool access_log = true;          // a log line for each Generate and Score call
    ModelRequestRules models = {};   // of LoadModel and UnloadModel
  };

  // `host` and `keeper` must outlive the server. InvalidArgument for a bad address, Unavailable if
  // it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(ModelHost& host, RegistryKeeper& keeper,
                                                          const Options& options);
  ~RpcServer();  // Stop without grace
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  // HOST:PORT with the port that was taken.
  const std::string& address() const { return address_; }
  // The same of the listener for health checks; empty without one.
  const std::string& health_address() const { return health_address_; }

  void SetAlive(bool alive);

  // Reads the registry's manifest again, beside all else.
  void ReloadRegistry() { changes_.Reload(); }

  // No calls are accepted any more; those that run after `grace` are cancelled. Returns when all
  // have ended.
  void Stop(absl::Duration grace);

 private:
  RpcServer(ModelHost& host, RegistryKeeper& keeper, const Options& options);
  absl::Status StartHealth(const std::string& listen);
  void SetHealth(const std::string& service, bool serving);
  void OnHostStatus(const HostStatus& status);

  ModelHost& host_;
  InferenceServiceImpl inference_;
  WorkerServiceImpl worker_;
  RegistryChanges changes_;
  RegistryServiceImpl registry_;
  RefusingStateService states_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;  // null once stopped
  std::string health_address_;
  grpc::CallbackGenericService no_service_;      // of the listener for health checks: all else
  std::unique_ptr<grpc::Server> health_server_;  // null without such a listener
  // By the host's listener only, which has one call at a time.
  std::optional<ModelState> last_state_;
  std::string last_model_;
  int64_t subscription_ = 0;
};

}  // namespace skein
