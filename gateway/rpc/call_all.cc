#include "gateway/rpc/call_all.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace skein {
namespace {

std::string Describe(const WorkerOutcome& outcome) {
  if (outcome.status.ok()) return absl::StrCat(outcome.worker, " took it");
  return absl::StrCat(
      outcome.worker, " did not: ",
      absl::StatusCodeToString(static_cast<absl::StatusCode>(outcome.status.error_code())), ", ",
      outcome.status.error_message());
}

}  // namespace

grpc::Status SumUp(const std::vector<WorkerOutcome>& outcomes) {
  const auto taken = [](const WorkerOutcome& outcome) { return outcome.status.ok(); };
  if (std::all_of(outcomes.begin(), outcomes.end(), taken)) return grpc::Status::OK;
  const grpc::Status& first = outcomes[0].status;
  const bool one_code =
      std::all_of(outcomes.begin(), outcomes.end(), [&first](const WorkerOutcome& outcome) {
        return outcome.status.error_code() == first.error_code();
      });
  const bool one_text =
      std::all_of(outcomes.begin(), outcomes.end(), [&first](const WorkerOutcome& outcome) {
        return outcome.status.error_message() == first.error_message();
      });
  if (one_code && one_text) return first;
  const std::string who =
      absl::StrJoin(outcomes, "; ", [](std::string* out, const WorkerOutcome& outcome) {
        absl::StrAppend(out, Describe(outcome));
      });
  return grpc::Status(one_code ? first.error_code() : grpc::StatusCode::ABORTED,
                      absl::StrCat("not on every worker: ", who));
}

CallAll::CallAll(WorkerPool& pool, const std::vector<WorkerHandle>& workers, Done on_done)
    : pool_(pool), workers_(workers), on_done_(std::move(on_done)), num_open_(workers.size()) {
  for (const WorkerHandle& worker : workers_) outcomes_.push_back({.worker = worker.address});
}

void CallAll::Start(const ByteRequest& request, const CallOptions& options) {
  for (size_t i = 0; i < workers_.size(); ++i) {
    ByteCallbacks callbacks;
    callbacks.on_message = [self = shared_from_this(), i](grpc::ByteBuffer& message) {
      self->OnMessage(i, message);
    };
    callbacks.on_done = [self = shared_from_this(), i](const grpc::Status& status) {
      self->OnWorkerDone(i, status);
    };
    calls_.push_back(MakeByteCall(workers_[i], request, options, std::move(callbacks)));
  }
  for (const std::shared_ptr<ByteCall>& call : calls_) call->Start();
}

void CallAll::Cancel() {
  for (const std::shared_ptr<ByteCall>& call : calls_) call->Cancel();
}

void CallAll::OnMessage(size_t index, grpc::ByteBuffer& message) {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    outcomes_[index].answer.Swap(&message);
  }
  calls_[index]->ReadNext();  // brings the end
}

void CallAll::OnWorkerDone(size_t index, const grpc::Status& status) {
  std::vector<WorkerOutcome> outcomes;
  {
    const std::lock_guard<std::mutex> lock(mu_);
    outcomes_[index].status = status;
    if (--num_open_ > 0) return;
    outcomes = std::move(outcomes_);
  }
  std::vector<std::string> changed;
  for (const WorkerOutcome& outcome : outcomes) changed.push_back(outcome.worker);
  pool_.Touch(changed);
  const Done on_done = std::exchange(on_done_, nullptr);
  on_done(outcomes);
}

}  // namespace skein
