#include "gateway/rpc/byte_call.h"

#include <mutex>
#include <utility>

#include "absl/time/clock.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/client_callback.h>

#include "gateway/rpc/client_call.h"

namespace skein {
namespace {

using Bytes = grpc::ByteBuffer;

class WorkerCall final : public ByteCall,
                         public grpc::ClientBidiReactor<Bytes, Bytes>,
                         public std::enable_shared_from_this<WorkerCall> {
 public:
  WorkerCall(const WorkerHandle& worker, ByteRequest request, const CallOptions& options,
             ByteCallbacks callbacks)
      : worker_(worker),
        stub_(worker_.channel),
        request_(std::move(request)),
        options_(options),
        callbacks_(std::move(callbacks)) {
    PrepareContext(options_, worker_, context_);
  }

  void Start() override {
    self_ = shared_from_this();
    context_.set_initial_metadata_corked(true);  // goes out together with the message
    stub_.PrepareBidiStreamingCall(&context_, request_.method, grpc::StubOptions(), this);
    StartWriteLast(&request_.message, grpc::WriteOptions());
    StartRead(&response_);
    AddHold();  // for reads that are started outside of gRPC's callbacks
    StartCall();
  }

  void ReadNext() override {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (phase_ != Phase::kHandedOut) return;
      phase_ = Phase::kReading;
    }
    StartRead(&response_);
  }

  // A read that is in flight ends by itself. The context lives as long as this object.
  void Cancel() override {
    bool release = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      cancelled_ = true;
      if (phase_ == Phase::kHandedOut) {
        phase_ = Phase::kOver;
        release = true;
      }
    }
    context_.TryCancel();
    if (release) RemoveHold();
  }

  void OnWriteDone(bool) override { request_.message.Clear(); }

  void OnReadDone(bool ok) override {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      ok = ok && !cancelled_;
      phase_ = ok ? Phase::kHandedOut : Phase::kOver;
    }
    if (!ok) {
      RemoveHold();
      return;
    }
    if (!std::exchange(answered_, true)) worker_.Answered();
    Bytes message;
    message.Swap(&response_);
    callbacks_.on_message(message);
  }

  void OnDone(const grpc::Status& status) override {
    // Freed in the reverse order. What callbacks own goes with the call, not with the last handle
    // to it; and the worker's channel goes before the call counts as ended, because its last
    // reference must not be dropped on a gRPC thread.
    const std::unique_ptr<RunningCall> running = std::move(running_);
    const std::shared_ptr<WorkerCall> self = std::move(self_);
    const ByteCallbacks callbacks = std::exchange(callbacks_, {});
    const grpc::Status end = AsFoundHere(status);
    worker_.Report(FromGrpc(end));
    callbacks.on_done(EndForClients(end, context_, options_, worker_));
  }

 private:
  // kReading and kHandedOut in turns, once kOver; the hold lasts until kOver.
  enum class Phase { kReading, kHandedOut, kOver };

  // gRPC's server ends calls that reach it after its shutdown has begun with Cancelled, which is a
  // word for what the client did: no code of the worker has seen them.
  grpc::Status AsFoundHere(const grpc::Status& status) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (status.error_code() != grpc::StatusCode::CANCELLED || cancelled_ ||
        absl::Now() >= options_.deadline) {
      return status;
    }
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the worker is stopping");
  }

  const WorkerHandle worker_;
  grpc::TemplatedGenericStub<Bytes, Bytes> stub_;
  ByteRequest request_;
  const CallOptions options_;
  ByteCallbacks callbacks_;
  std::shared_ptr<WorkerCall> self_;
  std::unique_ptr<RunningCall> running_ = std::make_unique<RunningCall>();
  grpc::ClientContext context_;
  Bytes response_;
  bool answered_ = false;  // used by OnReadDone alone

  // Not held while gRPC is called: it may run callbacks within.
  std::mutex mu_;
  // Guarded by mu_.
  Phase phase_ = Phase::kReading;
  bool cancelled_ = false;
};

}  // namespace

std::shared_ptr<ByteCall> MakeByteCall(const WorkerHandle& worker, ByteRequest request,
                                       const CallOptions& options, ByteCallbacks callbacks) {
  return std::make_shared<WorkerCall>(worker, std::move(request), options, std::move(callbacks));
}

}  // namespace skein
