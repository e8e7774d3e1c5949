#include <memory>
#include <utility>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include "gateway/rpc/client_call.h"
#include "gateway/rpc/inference_client.h"
#include "skein/v1/inference.grpc.pb.h"

namespace skein {
namespace {

// Keeps itself until OnDone, whatever its caller drops. One read at a time: the next one starts
// when the callback has returned, so a slow callback slows the worker's stream down.
class GenerateReader final : public GenerateCall,
                             public grpc::ClientReadReactor<v1::GenerateResponse> {
 public:
  GenerateReader(const WorkerHandle& worker, v1::GenerateRequest request,
                 GenerateCallbacks callbacks)
      : channel_(worker.channel),
        stub_(channel_),
        request_(std::move(request)),
        callbacks_(std::move(callbacks)) {}

  void Start(const CallOptions& options, std::shared_ptr<GenerateReader> self) {
    self_ = std::move(self);
    PrepareContext(options, context_);
    stub_.async()->Generate(&context_, &request_, this);
    StartRead(&response_);
    StartCall();
  }

  // Safe from any thread and at any time: the context lives as long as this object.
  void Cancel() override { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    callbacks_.on_message(std::move(response_));
    response_.Clear();
    StartRead(&response_);
  }

  void OnDone(const grpc::Status& status) override {
    // Freed in the reverse order. What callbacks own goes with the call, not with the last handle
    // to it; and the channel goes before the call counts as ended, because its last reference must
    // not be dropped on a gRPC thread.
    const std::unique_ptr<RunningCall> running = std::move(running_);
    const std::shared_ptr<GenerateReader> self = std::move(self_);
    const GenerateCallbacks callbacks = std::exchange(callbacks_, {});
    callbacks.on_done(FromGrpc(status));
  }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  v1::InferenceService::Stub stub_;
  const v1::GenerateRequest request_;
  GenerateCallbacks callbacks_;
  std::shared_ptr<GenerateReader> self_;
  std::unique_ptr<RunningCall> running_ = std::make_unique<RunningCall>();
  grpc::ClientContext context_;
  v1::GenerateResponse response_;
};

}  // namespace

std::shared_ptr<GenerateCall> StartGenerate(const WorkerHandle& worker, v1::GenerateRequest request,
                                            const CallOptions& options,
                                            GenerateCallbacks callbacks) {
  auto call = std::make_shared<GenerateReader>(worker, std::move(request), std::move(callbacks));
  call->Start(options, call);
  return call;
}

}  // namespace skein
