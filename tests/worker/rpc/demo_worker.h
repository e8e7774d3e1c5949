// The demo model behind a real gRPC server in this process, with its tuned states and adapters to
// be loaded.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/registry.grpc.pb.h"
#include "skein/v1/workers.grpc.pb.h"
#include "worker/engine/model_host.h"
#include "worker/registry/keeper.h"
#include "worker/rpc/rpc_server.h"

namespace skein {

// Serves the model "demo". Its registry's root is the folder of the demo model.
class DemoWorker {
 public:
  DemoWorker();
  ~DemoWorker();

  v1::InferenceService::Stub& inference() { return *inference_; }
  v1::RegistryService::Stub& registry() { return *registry_; }
  v1::WorkerService::Stub& worker() { return *worker_; }
  ModelHost& host() { return *host_; }

  absl::StatusOr<v1::Entry> LoadState(const std::string& name, const std::string& path);
  absl::StatusOr<v1::Entry> LoadAdapter(const std::string& name, const std::string& path);
  absl::StatusOr<v1::Entry> LoadAdapter(const v1::LoadAdapterRequest& request);
  absl::StatusOr<v1::Entry> DefineMixture(const v1::DefineMixtureRequest& request);
  absl::Status Remove(const std::string& name);
  v1::ListResponse List();

 private:
  std::unique_ptr<RegistryKeeper> keeper_;
  std::unique_ptr<ModelHost> host_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
  std::unique_ptr<v1::RegistryService::Stub> registry_;
  std::unique_ptr<v1::WorkerService::Stub> worker_;
};

struct DemoPrompt {
  v1::GenerateRequest request;  // greedy, without conditioning
  std::string expected;         // under the state or adapter
};
// Of tests/e2e/data/tuned/NAME.jsonl those that the state or adapter NAME is sure of.
std::vector<DemoPrompt> DemoPrompts(const std::string& name);

}  // namespace skein
