// A client's call as gRPC brings it: its metadata first, and its one message only when the call
// asks for it. Nothing is read for callers who may not call, or while there is no room.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include "common/base/clock.h"
#include "gateway/grpc/open_calls.h"
#include "gateway/grpc/upload_budget.h"
#include "gateway/grpc/upload_guard.h"

namespace skein {

// How long a request may take until it is there.
struct UploadTimes {
  absl::Duration wait;  // for room; then RESOURCE_EXHAUSTED
  absl::Duration read;  // from then to the last byte; then DEADLINE_EXCEEDED
};

// Room for requests, and who sees to it that they take no more. Outlives the calls.
struct Uploads {
  UploadBudget& budget;
  UploadGuard& guard;
  const Clock& clock;
};

// Keeps itself from Begin until gRPC is done with it. Calls follow: Enter Start End* Done, where
// Start is left out if the request does not come.
class RequestReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                       public OpenCall,
                       public Uploader,
                       public GuardedRead,
                       public std::enable_shared_from_this<RequestReactor> {
 public:
  // Once, before gRPC gets the reactor.
  void Begin();

  void OnReadDone(bool ok) final;
  void OnCancel() final;
  void OnDone() final;
  bool OnTurn() final;
  void TooMuchCame() final;
  // Ends calls whose request does not come. Subclasses that override it call it.
  void LookAfter(absl::Time now) override;

 protected:
  RequestReactor(grpc::CallbackServerContext& context, const Uploads& uploads, UploadTimes times)
      : context_(context), uploads_(uploads), times_(times), peer_(context.peer()) {}

  // Whose share of the budget the request takes; an error ends the call, and nothing is read.
  virtual absl::StatusOr<std::string> Enter() = 0;
  // The request is there. An error ends the call.
  virtual absl::Status Start(grpc::ByteBuffer& request) = 0;
  // The client has left, or its deadline has passed, since Start: End should follow.
  virtual void CancelWork() = 0;
  // The client will learn of `status` next.
  virtual void BeforeFinish(const grpc::Status&) {}
  // The last call.
  virtual void Done(const grpc::Status&, bool /*client_left*/) {}

  // Ends the call; the first one counts. Returns at once: what is held is waited for.
  void End(const grpc::Status& status);
  // The same with an answer before the status OK.
  void EndWith(grpc::ByteBuffer& answer);
  // Between these two, of which there may be several, the call does not end and the context stays:
  // while a message is being written, or something is done to the call from outside.
  bool Hold();  // false, without effect, if it is too late
  void Unhold();
  // The request's memory is no longer used.
  void ReleaseRequest();

  grpc::CallbackServerContext& context() { return context_; }
  bool client_left();

 private:
  enum class Phase { kEntering, kWaiting, kReading, kStarted };

  void FinishIfDue();
  void RequestCame();
  // Ends a call that waits or reads for too long, once.
  void CutOff(const absl::Status& status);

  grpc::CallbackServerContext& context_;  // alive until Finish at least
  const Uploads uploads_;
  const UploadTimes times_;
  const std::string peer_;
  std::shared_ptr<RequestReactor> self_;
  std::string caller_;        // constant after Enter
  grpc::ByteBuffer request_;  // being read
  grpc::ByteBuffer answer_;   // constant once ended

  // Not held while gRPC is called: it may run callbacks within.
  std::mutex mu_;
  // Guarded by mu_.
  Phase phase_ = Phase::kEntering;
  absl::Time phase_begin_;
  uint64_t taken_bytes_ = 0;  // of the budget
  int holds_ = 0;
  bool client_left_ = false;
  bool work_begun_ = false;           // Start has returned
  std::optional<grpc::Status> late_;  // the request did not come in time
  bool ended_ = false;                // with status_
  bool finished_ = false;
  bool has_answer_ = false;
  grpc::Status status_;
};

}  // namespace skein
