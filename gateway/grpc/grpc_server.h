// The gateway's gRPC port: InferenceService and RegistryService passed on to workers, health, and
// reflection.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <grpcpp/server.h>

#include "gateway/endpoints/gateway_context.h"
#include "gateway/grpc/front_call.h"
#include "gateway/grpc/front_service.h"
#include "gateway/grpc/health.h"
#include "gateway/grpc/open_calls.h"
#include "gateway/grpc/upload_budget.h"
#include "gateway/grpc/upload_guard.h"

namespace skein {

// Serves from Start to Stop. Health of "" is SERVING while a worker is ready, that of a model's
// name while a worker is ready that serves it, that of "liveness" always.
class GrpcServer {
 public:
  // Listens on `context.config.grpc_listen()`. `context` must outlive the server. InvalidArgument
  // for a bad address, Unavailable if it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(GatewayContext& context);
  ~GrpcServer();  // Stop without grace
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // HOST:PORT with the port that was taken.
  const std::string& address() const { return address_; }

  // From now on health says NOT_SERVING, and new calls are refused with Unavailable.
  void Drain();
  // Drains, waits for running calls, and closes the port; calls that run after `grace` are
  // cancelled. False if there were any.
  bool Stop(absl::Duration grace);

 private:
  explicit GrpcServer(GatewayContext& context);
  void Run();
  void TellHealth(bool draining);

  GatewayContext& context_;
  OpenCalls open_calls_;
  UploadBudget uploads_;
  UploadGuard guard_;
  Front front_;
  HealthBoard health_;
  FrontService service_;
  std::string address_;
  uint16_t port_ = 0;
  std::unique_ptr<grpc::Server> server_;  // null once stopped
  std::set<std::string> told_models_;     // whose health was told; by the own thread only

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  bool draining_ = false;
  bool stopping_ = false;
  std::thread thread_;  // tells health, looks after calls and guards uploads
};

}  // namespace skein
