#include "gateway/rwkv_infer/change_run.h"

#include <iterator>
#include <utility>

#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "boost/json/serialize.hpp"

#include "common/base/log.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/endpoints/worker_outcomes.h"
#include "gateway/rpc/byte_messages.h"
#include "gateway/rpc/client_call.h"
#include "skein/v1/registry.pb.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr absl::Duration kPatience = absl::Seconds(5);

// Kept by its calls and by what it awaits. One of them runs at a time.
class ChangeRun : public std::enable_shared_from_this<ChangeRun> {
 public:
  ChangeRun(ChangeRequest request, ChangePlan plan)
      : request_(std::move(request)), plan_(std::move(plan)) {}

  void Next() {
    if (next_ < plan_.steps.size()) return Call(plan_.steps[next_]);
    if (!status_.ok() || plan_.is_shown == nullptr) return Answer();
    request_.context.workers.Await(plan_.is_shown, kPatience,
                                   [run = shared_from_this()](bool) { run->Answer(); });
  }

 private:
  void Call(const ByteRequest& step) {
    const auto call = std::make_shared<CallAll>(
        request_.context.workers, plan_.workers,
        [run = shared_from_this(), method = step.method](std::vector<WorkerOutcome>& outcomes) {
          run->OnDone(method, outcomes);
        });
    call->Start(step, request_.options);
  }

  void OnDone(const char* method, std::vector<WorkerOutcome>& outcomes) {
    const grpc::Status status = SumUp(outcomes);
    LogInfo("worker change", {{"request", request_.request_id},
                              {"method", method},
                              {"outcome", absl::StatusCodeToString(FromGrpc(status).code())}});
    ++next_;
    if (!is_decided_) {
      if (plan_.brings_entries) NoteWarnings(outcomes);
      outcomes_ = std::move(outcomes);
      status_ = FromGrpc(status);
      if (!status.ok() || next_ == plan_.steps.size()) Decide();
    }
    Next();
  }

  // What follows is tidying up.
  void Decide() {
    is_decided_ = true;
    plan_.steps.resize(next_);
    std::vector<ByteRequest>& more = status_.ok() ? plan_.after_success : plan_.after_failure;
    std::move(more.begin(), more.end(), std::back_inserter(plan_.steps));
  }

  void NoteWarnings(const std::vector<WorkerOutcome>& outcomes) {
    const absl::StatusOr<v1::Entry> entry = ParseBytes<v1::Entry>(outcomes[0].answer);
    if (!outcomes[0].status.ok() || !entry.ok()) return;
    plan_.warnings.insert(plan_.warnings.end(), entry->warnings().begin(), entry->warnings().end());
  }

  void Answer() {
    request_.admission.reset();  // before the client can send its next request
    request_.out->Send(Response());
  }

  HttpResponse Response() const {
    if (!status_.ok()) {
      absl::Status status = FromWorker(status_, "");
      if (plan_.in_words != nullptr) status = plan_.in_words(status);
      return ErrorOfWorkers(status, outcomes_, request_.request_id);
    }
    json::object reply = {{"status", "success"}, {"workers", WorkersJson(outcomes_)}};
    if (!plan_.warnings.empty()) {
      json::array warnings;
      for (const std::string& warning : plan_.warnings) warnings.push_back(json::value(warning));
      reply["warnings"] = std::move(warnings);
    }
    return {.body = json::serialize(reply), .headers = {}};
  }

  const RunningCall running_;  // while it waits, too
  ChangeRequest request_;
  ChangePlan plan_;
  size_t next_ = 0;          // of plan_.steps
  bool is_decided_ = false;  // what the answer is
  absl::Status status_;
  std::vector<WorkerOutcome> outcomes_;
};

}  // namespace

std::vector<std::string> AddressesOf(const std::vector<WorkerHandle>& workers) {
  std::vector<std::string> addresses;
  addresses.reserve(workers.size());
  for (const WorkerHandle& worker : workers) addresses.push_back(worker.address);
  return addresses;
}

void RunChange(ChangeRequest request, ChangePlan plan) {
  std::make_shared<ChangeRun>(std::move(request), std::move(plan))->Next();
}

}  // namespace skein
