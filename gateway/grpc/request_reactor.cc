#include "gateway/grpc/request_reactor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include <grpc/grpc.h>

#include "common/base/retry_after.h"
#include "gateway/rpc/client_call.h"

namespace skein {

void RequestReactor::Begin() {
  self_ = shared_from_this();
  uploads_.guard.CallBegins(peer_);
  const std::shared_ptr<RequestReactor> keep = self_;
  absl::StatusOr<std::string> caller = Enter();
  if (!caller.ok()) return End(ToGrpc(caller.status()));
  caller_ = *std::move(caller);
  {
    const std::lock_guard<std::mutex> lock(mu_);
    phase_ = Phase::kWaiting;
    phase_begin_ = uploads_.clock.Steady();
  }
  const absl::Status asked = uploads_.budget.Ask(caller_, keep);
  if (!asked.ok()) CutOff(asked);
}

bool RequestReactor::OnTurn() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (phase_ != Phase::kWaiting) return false;
    phase_ = Phase::kReading;
    phase_begin_ = uploads_.clock.Steady();
    taken_bytes_ = uploads_.budget.rules().request_bytes;
  }
  uploads_.guard.ReadBegins(peer_, weak_from_this());
  StartRead(&request_);
  return true;
}

void RequestReactor::OnReadDone(bool ok) {
  const std::shared_ptr<RequestReactor> keep = shared_from_this();
  const bool cancelled = context_.IsCancelled();
  uploads_.guard.ReadEnds(peer_, ok ? request_.Length() : 0);
  std::optional<grpc::Status> end;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    phase_ = Phase::kStarted;
    if (late_.has_value()) {
      end = late_;
    } else if (client_left_ || (!ok && cancelled)) {
      end = grpc::Status(grpc::StatusCode::CANCELLED, "the call ended before its request was read");
    } else if (!ok) {
      end = grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "the call has no request");
    }
  }
  if (!end.has_value()) return RequestCame();
  request_.Clear();
  End(*end);
}

void RequestReactor::RequestCame() {
  grpc::ByteBuffer request;
  request.Swap(&request_);
  uint64_t unused = 0;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    const uint64_t kept = std::min<uint64_t>(taken_bytes_, request.Length());
    unused = taken_bytes_ - kept;
    taken_bytes_ = kept;
  }
  uploads_.budget.Return(caller_, unused);
  const absl::Status status = Start(request);
  if (!status.ok()) return End(ToGrpc(status));
  bool cancel = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    work_begun_ = true;
    cancel = client_left_;
  }
  if (cancel) CancelWork();
}

void RequestReactor::OnCancel() {
  const std::shared_ptr<RequestReactor> keep = shared_from_this();
  bool waited = false;
  bool begun = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!late_.has_value()) client_left_ = true;  // else the end is ours
    waited = phase_ == Phase::kWaiting;
    if (waited) phase_ = Phase::kStarted;
    begun = work_begun_;
  }
  if (waited) End(grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"));
  if (begun) CancelWork();
}

void RequestReactor::LookAfter(absl::Time now) {
  Phase phase;
  absl::Duration time;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    phase = phase_;
    time = now - phase_begin_;
  }
  if (phase == Phase::kWaiting && time >= times_.wait) {
    CutOff(WithRetryAfter(absl::ResourceExhaustedError("too many requests are being read"),
                          absl::Seconds(1)));
  } else if (phase == Phase::kReading && time >= times_.read) {
    CutOff(absl::DeadlineExceededError(
        absl::StrCat("the request was not read within ", absl::FormatDuration(times_.read))));
  }
}

void RequestReactor::TooMuchCame() {
  CutOff(absl::ResourceExhaustedError("the request is longer than requests may be"));
}

void RequestReactor::CutOff(const absl::Status& status) {
  const grpc::Status end = ToGrpc(status);
  bool reading = false;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (phase_ == Phase::kEntering || phase_ == Phase::kStarted || late_.has_value()) return;
    reading = phase_ == Phase::kReading;
    if (reading) {
      late_ = end;
      ++holds_;
    } else {
      phase_ = Phase::kStarted;
    }
  }
  if (!reading) return End(end);
  // Unlike Finish it frees at once what has been read, even if the client takes no answer.
  grpc_call_cancel_with_status(context_.c_call(), static_cast<grpc_status_code>(end.error_code()),
                               end.error_message().c_str(), nullptr);
  Unhold();
}

void RequestReactor::End(const grpc::Status& status) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (ended_) return;
    ended_ = true;
    status_ = status;
  }
  FinishIfDue();
}

void RequestReactor::EndWith(grpc::ByteBuffer& answer) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (ended_) return;
    ended_ = true;
    has_answer_ = true;
    answer_.Swap(&answer);
  }
  FinishIfDue();
}

bool RequestReactor::Hold() {
  const std::lock_guard<std::mutex> lock(mu_);
  if (finished_) return false;
  ++holds_;
  return true;
}

void RequestReactor::Unhold() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    --holds_;
  }
  FinishIfDue();
}

void RequestReactor::FinishIfDue() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!ended_ || holds_ > 0 || finished_) return;
    finished_ = true;
  }
  ReleaseRequest();
  BeforeFinish(status_);
  if (has_answer_) {
    StartWriteAndFinish(&answer_, grpc::WriteOptions(), status_);
  } else {
    Finish(status_);
  }
}

void RequestReactor::ReleaseRequest() {
  uint64_t bytes = 0;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    bytes = std::exchange(taken_bytes_, 0);
  }
  uploads_.budget.Return(caller_, bytes);
}

bool RequestReactor::client_left() {
  const std::lock_guard<std::mutex> lock(mu_);
  return client_left_;
}

void RequestReactor::OnDone() {
  Done(status_, client_left());
  const std::shared_ptr<RequestReactor> last = std::move(self_);
}

}  // namespace skein
