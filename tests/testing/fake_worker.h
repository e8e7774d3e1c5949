// A worker without a model: a gRPC server in this process with scripted answers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "skein/v1/inference.pb.h"
#include "skein/v1/registry.pb.h"
#include "skein/v1/workers.pb.h"
#include "tests/testing/fake_registry.h"

namespace skein {

// What one Generate call does: its messages in order, each after its delay, then the status.
struct FakeGeneration {
  struct Step {
    v1::GenerateResponse message;
    absl::Duration delay = absl::ZeroDuration();
  };
  std::vector<Step> steps;
  absl::Duration delay_before_end = absl::ZeroDuration();  // infinite: until the client cancels
  absl::Status status;
};

// `started`, one message per piece of text, `finish` with the last of them, `usage`: what a worker
// sends for one choice.
FakeGeneration SayPieces(const std::vector<std::string>& pieces,
                         absl::Duration delay = absl::ZeroDuration());

// What a call brought with it.
struct SeenCall {
  v1::GenerateRequest request;
  std::map<std::string, std::string> metadata;
  absl::Duration time_left;  // until the deadline, when the call came; infinite without one
};

// Thread-safe. By default it serves the model "fake", answers Generate with SayPieces({"Hello",
// ",", " world"}), Score with log-probabilities of 0, Tokenize with one token per byte and
// Detokenize with the inverse. Scripts run on gRPC threads.
class FakeWorker {
 public:
  explicit FakeWorker(const std::string& model = "fake");
  ~FakeWorker();
  FakeWorker(const FakeWorker&) = delete;
  FakeWorker& operator=(const FakeWorker&) = delete;

  std::string address() const;  // 127.0.0.1:PORT, the same after a restart

  void OnGenerate(std::function<FakeGeneration(const v1::GenerateRequest&)> script);
  void OnScore(std::function<absl::StatusOr<v1::ScoreResponse>(const v1::ScoreRequest&)> script);
  void OnTokenize(
      std::function<absl::StatusOr<v1::TokenizeResponse>(const v1::TokenizeRequest&)> script);
  void OnDetokenize(
      std::function<absl::StatusOr<v1::DetokenizeResponse>(const v1::DetokenizeRequest&)> script);

  // From now on it has a registry, an empty one, and its load shows the revision. Registry calls
  // are answered UNIMPLEMENTED until then, or until scripted.
  void UseRegistry();
  // Runs `change` on it; watchers hear of it at once.
  void ChangeRegistry(const std::function<void(FakeRegistry&)>& change);
  std::vector<std::string> registered() const;  // names
  int num_registry_changes() const;             // that came as calls

  void OnLoadAdapter(
      std::function<absl::StatusOr<v1::Entry>(const v1::LoadAdapterRequest&)> script);
  void OnListEntries(
      std::function<absl::StatusOr<v1::ListResponse>(const v1::ListRequest&)> script);

  // LoadModel replaces what it serves, and is answered as scripted; UnloadModel takes it away. Both
  // empty the registry, if there is one. The default script takes everything.
  void OnLoadModel(std::function<absl::Status(const v1::LoadModelRequest&)> script);
  std::vector<v1::LoadModelRequest> model_loads() const;  // so far, refused ones too

  // What ListModels and WatchLoad tell; watchers hear of it at once.
  void SetModels(std::vector<v1::ModelInfo> models);
  void SetDraining(bool draining);
  // The running calls are added to `running`, and the models' names.
  void SetLoad(const v1::WorkerLoad& load);
  // Its watchers hear nothing, not even heartbeats, as when the process is stopped.
  void SetSilent(bool silent);

  // Breaks every connection, as a killed process does, after a grace in which calls may end and
  // new ones are turned away. Start again listens on the same port.
  void Stop(absl::Duration grace = absl::ZeroDuration());
  void Start();

  std::vector<SeenCall> calls() const;  // Generate calls so far
  int num_cancelled() const;  // Generate calls that the client cancelled or that ran out of time
  int num_running() const;
  int num_messages() const;  // that Generate calls have handed to gRPC
  // False if `num_running`, or `num_cancelled`, does not reach `count` within the time.
  bool WaitForRunning(int count, absl::Duration timeout = absl::Seconds(5)) const;
  bool WaitForCancelled(int count, absl::Duration timeout = absl::Seconds(5)) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A model as a worker describes it.
v1::ModelInfo FakeModelInfo(const std::string& name);

}  // namespace skein
