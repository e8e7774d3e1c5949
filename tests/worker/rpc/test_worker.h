// A worker in this process: PacedModel behind a real gRPC server on a free port.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"

#include "common/metrics/metrics.h"
#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/registry.grpc.pb.h"
#include "skein/v1/workers.grpc.pb.h"
#include "tests/worker/rpc/paced_model.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/rpc_server.h"

namespace skein {

// Serves the model "alphabet".
class TestWorker {
 public:
  struct Options {
    int max_sequences = 8;
    int max_queue = 64;
    int64_t max_tokens = 100'000;
    bool loaded = true;  // false: stays in kLoading until Load
    bool reflection = false;
    bool health_listener = false;
    bool chat = true;
    std::vector<std::string> roots = {};  // of the registry
    std::vector<std::string> model_roots = {};
    absl::Duration grace = absl::Seconds(20);
  };
  TestWorker() : TestWorker(Options()) {}
  explicit TestWorker(const Options& options);
  ~TestWorker();

  void Load();
  // A channel of its own: connections are not shared. With `small_window`, a stream that nobody
  // reads takes 64 KiB.
  std::shared_ptr<grpc::Channel> NewChannel(bool small_window = false) const;
  v1::InferenceService::Stub& inference() { return *inference_; }
  v1::WorkerService::Stub& worker() { return *worker_; }
  v1::RegistryService::Stub& registry() { return *registry_; }
  ModelHost& host() { return host_; }
  RpcServer& server() { return *server_; }
  PacedModel::Pace& pace() { return *pace_; }
  const MetricsRegistry& metrics() const { return metrics_; }

  // False if the load does not become so within five seconds.
  bool WaitForLoad(const std::function<bool(const LoadSnapshot&)>& wanted) const;

 private:
  const Options options_;
  std::shared_ptr<PacedModel::Pace> pace_;
  MetricsRegistry metrics_;
  const std::unique_ptr<RegistryKeeper> keeper_;
  ModelHost host_;
  std::unique_ptr<RpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
  std::unique_ptr<v1::RegistryService::Stub> registry_;
};

// Greedy, `max_tokens` of output, of a plain text.
v1::GenerateRequest GreedyRequest(const std::string& prompt, int max_tokens);

// All of a stream, choices told apart.
struct Collected {
  grpc::Status status;
  std::vector<v1::GenerateResponse> messages;
  std::string Text(uint32_t choice = 0) const;
  int num_finishes() const;
};
Collected Collect(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request,
                  grpc::ClientContext& context);
Collected Collect(v1::InferenceService::Stub& stub, const v1::GenerateRequest& request);

// What the alphabet model answers to a plain `prompt`.
std::string Alphabet(const std::string& prompt, int tokens);

}  // namespace skein
