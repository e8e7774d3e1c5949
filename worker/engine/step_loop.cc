#include "worker/engine/step_loop.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <span>
#include <string>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/engine/batch_plan.h"
#include "worker/engine/commit.h"
#include "worker/engine/inbox.h"
#include "worker/engine/outbox.h"
#include "worker/engine/planner.h"
#include "worker/engine/prefill_pace.h"
#include "worker/engine/refusal_reason.h"
#include "worker/engine/request_checks.h"
#include "worker/engine/sequence_set.h"
#include "worker/engine/service_pace.h"
#include "worker/engine/step_runner.h"

namespace skein {
namespace {

// Rows of scored prompts in one step: bounds the logits that are held at once.
constexpr int kMaxScoredRows = 64;
// Prompts get so many beside decodes, however slow the model is.
constexpr int kFewestPromptRows = 16;

}  // namespace

int64_t MaxOutputs(const EngineLimits& limits) {
  return int64_t{limits.max_sequences} + kMaxScoredRows;
}

// The public functions may be called from any thread; all below Run belongs to the loop's thread.
class StepLoop::Impl {
 public:
  struct Parts {
    std::unique_ptr<Model> model;
    std::shared_ptr<const Tokenizer> tokenizer;
    std::unique_ptr<StatePool> states;
    std::unique_ptr<PagePool> pages;
    std::unique_ptr<StepRunner> runner;
    Stream stream;
  };

  Impl(Parts parts, Options options)
      : parts_(std::move(parts)),
        options_(std::move(options)),
        shape_(ShapeOf(parts_)),
        vocabulary_(VocabularyMask(parts_.tokenizer.get(), description().vocab_size)),
        inbox_(options_.limits.max_queue, options_.limits.max_queue_tokens, *options_.clock),
        sequences_(parts_.states.get(), parts_.pages.get(), parts_.tokenizer.get()),
        planner_({.max_rows = options_.limits.max_rows_per_step,
                  .prefill_chunk = options_.limits.prefill_chunk,
                  .max_scored_rows = kMaxScoredRows}),
        prefill_pace_(options_.limits.prefill_target, kFewestPromptRows,
                      options_.limits.max_rows_per_step),
        builder_(description().vocab_size, vocabulary_),
        committer_(&sequences_, &outbox_, parts_.tokenizer.get(), options_.clock,
                   options_.metrics) {
    inbox_.Publish(CurrentLoad());
    ReportCapacity();
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() { Close(); }

  void Close() {
    if (!thread_.joinable()) return;
    inbox_.Stop();
    thread_.join();
    parts_.runner.reset();
    parts_.pages.reset();
    parts_.states.reset();
    parts_.model.reset();
  }

  absl::StatusOr<uint64_t> Submit(GenerationRequest request) {
    RETURN_IF_ERROR(CheckRequest(request, description().vocab_size));
    RETURN_IF_ERROR(
        CheckFits(request, {.slots = options_.limits.max_sequences,
                            .branches = planner_.max_branches(),
                            .tokens = max_tokens(request.conditioning.num_branches())}));
    return inbox_.Submit(
        Activate(std::move(request), vocabulary_, description().vocab_size, options_.clock->Now()));
  }

  Inbox& inbox() { return inbox_; }
  const Stream& stream() const { return parts_.stream; }
  const ModelDescription& description() const { return shape_.description; }
  const StateLayout& state_layout() const { return shape_.state_layout; }
  int64_t kv_bytes_per_token() const { return shape_.kv_bytes_per_token; }
  const Model* model() const { return parts_.model.get(); }  // null once closed
  // Of one sequence with so many branches, if it had all pages to itself.
  int64_t max_tokens(int branches) const {
    return shape_.page_tokens == 0 ? std::numeric_limits<int64_t>::max()
                                   : shape_.num_pages / branches * shape_.page_tokens;
  }

  void ReportCapacity() {
    if (options_.metrics == nullptr) return;
    options_.metrics->state_slots.Set(shape_.num_slots);
    options_.metrics->state_bytes.Set(static_cast<double>(shape_.record_bytes) * shape_.num_slots);
    options_.metrics->kv_pages.Set(static_cast<double>(shape_.num_pages));
  }

 private:
  // What is asked of the model and its pools after they are gone, too.
  struct Shape {
    ModelDescription description;
    StateLayout state_layout;
    int64_t kv_bytes_per_token = 0;
    int64_t record_bytes = 0;
    int num_slots = 0;
    int64_t num_pages = 0;
    int64_t page_tokens = 0;  // 0 without attention layers
  };
  static Shape ShapeOf(const Parts& parts) {
    const PagePool& pages = *parts.pages;
    return {.description = parts.model->description(),
            .state_layout = parts.model->state_layout(),
            .kv_bytes_per_token = parts.model->kv_layout().bytes_per_token(),
            .record_bytes = parts.states->record_bytes(),
            .num_slots = parts.states->num_slots(),
            .num_pages = pages.num_pages(),
            .page_tokens = pages.layout().num_planes == 0 ? 0 : pages.layout().page_tokens};
  }

  void Run() {
    Publish();
    while (DrainInbox()) {
      Admit();
      if (sequences_.empty()) continue;
      const absl::Time begin = options_.clock->Now();
      const BatchPlan& plan = Plan();
      const absl::StatusOr<const StepResult*> result =
          parts_.runner->Run(plan, [this] { Deliver(); });
      if (!result.ok()) {
        Fail(result.status());
        continue;
      }
      Commit(plan, **result);
      inbox_.StepDone();
      Observe(plan, begin);
    }
    EndAll(absl::UnavailableError("the worker stopped"));
    Deliver();
  }

  // Tells the requests what the last step brought.
  void Deliver() {
    if (const int ended = outbox_.Deliver(); ended > 0) inbox_.Ended(ended);
  }

  // Blocks only when nothing runs or waits. False once the loop is to stop.
  bool DrainInbox() {
    bool stop = false;
    if (requests_.empty()) Deliver();
    for (Command& command : inbox_.Take(requests_.empty())) {
      switch (command.kind) {
        case Command::Kind::kSubmit:
          Accept(std::move(command.request));
          break;
        case Command::Kind::kCancel:
          Cancel(command.id);
          break;
        case Command::Kind::kEndAll:
          MarkAll(command.status);
          break;
        case Command::Kind::kWake:
          break;
        case Command::Kind::kStop:
          stop = true;
          break;
      }
    }
    EndLateRequests();
    Settle();
    return !stop;
  }

  void Accept(std::unique_ptr<ActiveRequest> request) {
    if (failed_) request->ended = absl::UnavailableError("the model has failed");
    waiting_.push_back(request.get());
    requests_[request->id] = std::move(request);
  }

  void Cancel(uint64_t id) {
    const auto it = requests_.find(id);
    if (it != requests_.end()) {
      it->second->ended = absl::CancelledError("the request was cancelled");
    }
  }

  void EndLateRequests() {
    const absl::Time now = options_.clock->Now();
    for (const auto& [id, request] : requests_) {
      if (now >= request->request.deadline && !request->ended) {
        request->ended = absl::DeadlineExceededError(
            absl::StrCat("the deadline passed after ", request->completion_tokens, " tokens"));
      }
    }
  }

  void Admit() {
    sequences_.MakeRoom();
    int admitted = 0;
    while (!waiting_.empty() && sequences_.Admit(*waiting_.front())) {
      ActiveRequest& request = *waiting_.front();
      waiting_.pop_front();
      inbox_.LeftQueue(request.id);
      ++admitted;
      request.queue_wait = options_.clock->Now() - request.accepted;
      if (options_.metrics != nullptr) {
        options_.metrics->queue_seconds.Observe(absl::ToDoubleSeconds(*request.queue_wait));
      }
    }
    SKEIN_CHECK(!sequences_.empty() || waiting_.empty());  // CheckFits: each fits alone
    pace_.Observe(options_.clock->Now(), admitted, !waiting_.empty());
    inbox_.SetPace(pace_.PerRequest());
    Publish();
  }

  const BatchPlan& Plan() {
    ++step_;
    runnable_.clear();
    items_.clear();
    for (Sequence* sequence : sequences_.all()) {
      if (sequence->paused) continue;
      runnable_.push_back(sequence);
      items_.push_back({.remaining = sequence->remaining(),
                        .branches = sequence->num_branches(),
                        .scored = sequence->request->wants_prompt_scores(),
                        .waited = step_ - sequence->last_step});
    }
    const std::vector<PlannedRows> planned = planner_.Plan(items_, prefill_pace_.rows());
    CountPromptRows(planned);
    return builder_.Build(planned, runnable_);
  }

  void CountPromptRows(std::span<const PlannedRows> planned) {
    bool decodes = false;
    prompt_rows_ = 0;
    for (const PlannedRows& rows : planned) {
      const PlanItem& item = items_[rows.item];
      decodes = decodes || item.remaining == 1;
      if (item.remaining > 1) prompt_rows_ += rows.rows * item.branches;
    }
    if (!decodes) prompt_rows_ = 0;
  }

  void Commit(const BatchPlan& plan, const StepResult& result) {
    committer_.Commit(plan, result, step_);
    Settle();
  }

  // What the state holds after a failed step is unknown, so nothing can go on.
  void Fail(const absl::Status& status) {
    LogError("the model failed", {{"step", absl::StrCat(step_)}, {"error", status.ToString()}});
    failed_ = true;
    inbox_.Fail();
    for (const Sequence* sequence : sequences_.all()) {
      sequence->request->ended =
          absl::InternalError(absl::StrCat("the model failed: ", status.message()));
    }
    EndAll(absl::UnavailableError("the model has failed"));
  }

  void EndAll(const absl::Status& status) {
    MarkAll(status);
    Settle();
  }

  void MarkAll(const absl::Status& status) {
    for (const auto& [id, request] : requests_) {
      if (!request->ended) request->ended = status;
    }
  }

  // Frees what has ended, then says so: a client that has heard the end finds its memory free.
  void Settle() {
    sequences_.RemoveFinished();
    for (const ActiveRequest* request : waiting_) {
      if (request->ended) inbox_.LeftQueue(request->id);
    }
    std::erase_if(waiting_,
                  [](const ActiveRequest* request) { return request->ended.has_value(); });
    Publish();
    absl::erase_if(requests_, [this](const auto& entry) {
      if (!entry.second->ended) return false;
      TellEnd(*entry.second);
      return true;
    });
  }

  void TellEnd(const ActiveRequest& request) {
    const absl::Duration total = options_.clock->Now() - request.accepted;
    if (options_.metrics != nullptr) {
      options_.metrics->request_seconds.Observe(absl::ToDoubleSeconds(total));
      options_.metrics->CountRequest(*request.ended);
    }
    outbox_.End(request.request.sink, *request.ended,
                {.prompt_tokens = request.prompt_size(),
                 .cached_tokens = 0,
                 .completion_tokens = request.completion_tokens,
                 .state_rows = request.num_branches(),
                 .queue_wait = request.queue_wait,
                 .first_token = request.first_token,
                 .total = total});
  }

  // Of requests that have their slots; the inbox knows the others.
  int64_t UnfedPromptTokens() const {
    int64_t tokens = 0;
    for (const Sequence* sequence : sequences_.all()) {
      tokens += std::max<int64_t>(sequence->request->prompt_size() - sequence->num_fed, 0);
    }
    return tokens;
  }

  LoadSnapshot CurrentLoad() const {
    return {.running = sequences_.num_slots_held(),
            .free_state_slots = parts_.states->num_free(),
            .free_kv_pages = parts_.pages->num_free(),
            .waiting_tokens = UnfedPromptTokens(),
            .steps = step_};
  }

  void Publish() {
    const LoadSnapshot load = inbox_.Publish(CurrentLoad());
    if (options_.metrics != nullptr) {
      options_.metrics->running_sequences.Set(load.running);
      options_.metrics->waiting_requests.Set(load.waiting);
      options_.metrics->waiting_tokens.Set(static_cast<double>(inbox_.queue_tokens()));
      options_.metrics->free_state_slots.Set(load.free_state_slots);
      options_.metrics->free_kv_pages.Set(static_cast<double>(load.free_kv_pages));
    }
    last_load_.steps = load.steps;
    if (load == last_load_) return;
    last_load_ = load;
    if (options_.on_load_change) options_.on_load_change(load);
  }

  void Observe(const BatchPlan& plan, absl::Time begin) {
    const absl::Duration time = options_.clock->Now() - begin;
    prefill_pace_.Observe(prompt_rows_, time);
    if (options_.metrics == nullptr) return;
    options_.metrics->steps.Increment();
    options_.metrics->step_seconds.Observe(absl::ToDoubleSeconds(time));
    options_.metrics->step_rows.Observe(static_cast<double>(plan.num_rows()));
    options_.metrics->mixture_rows.Increment(static_cast<double>(plan.mixture_rows));
    options_.metrics->adapter_rows.Increment(static_cast<double>(plan.adapter_rows));
  }

  Parts parts_;  // constant from construction until Close

  // Constant after construction.
  const Options options_;
  const Shape shape_;
  const std::vector<uint32_t> vocabulary_;

  Inbox inbox_;  // shared with all threads

  // Owned by the loop.
  SequenceSet sequences_;
  const Planner planner_;
  PrefillPace prefill_pace_;
  int prompt_rows_ = 0;  // of the step, beside decodes
  BatchBuilder builder_;
  Outbox outbox_;
  Committer committer_;
  absl::flat_hash_map<uint64_t, std::unique_ptr<ActiveRequest>>
      requests_;                        // accepted and not ended
  std::deque<ActiveRequest*> waiting_;  // of requests_, without slots
  ServicePace pace_;                    // at which these get them
  std::vector<PlanItem> items_;
  std::vector<Sequence*> runnable_;
  uint64_t step_ = 0;
  bool failed_ = false;
  LoadSnapshot last_load_;

  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<StepLoop>> StepLoop::Create(
    std::unique_ptr<Model> model, std::shared_ptr<const Tokenizer> tokenizer, const Stream& stream,
    Options options) {
  const EngineLimits& limits = options.limits;
  RETURN_IF_ERROR(CheckLimits(limits));
  const KvLayout& kv = model->kv_layout();
  Impl::Parts parts;
  ASSIGN_OR_RETURN(parts.states,
                   StatePool::Create(model->state_layout().bytes, limits.max_sequences, stream));
  ASSIGN_OR_RETURN(parts.pages, PagePool::Create({.num_planes = 2 * kv.num_layers,
                                                  .token_bytes = int64_t{kv.num_kv_heads} *
                                                                 kv.head_dim * DTypeBytes(kv.dtype),
                                                  .page_tokens = limits.page_tokens},
                                                 limits.kv_bytes, stream));
  ASSIGN_OR_RETURN(parts.runner,
                   StepRunner::Create(model.get(), parts.states.get(), parts.pages.get(), stream,
                                      {.max_rows = limits.max_rows_per_step,
                                       .max_sequences = limits.max_sequences,
                                       .max_outputs = MaxOutputs(limits)}));
  RETURN_IF_ERROR(parts.runner->WarmUp([&] {
    if (options.on_progress) options.on_progress();
  }));
  parts.model = std::move(model);
  parts.stream = stream;
  parts.tokenizer = std::move(tokenizer);
  return std::unique_ptr<StepLoop>(
      new StepLoop(std::make_unique<Impl>(std::move(parts), std::move(options))));
}

StepLoop::StepLoop(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StepLoop::~StepLoop() = default;

absl::StatusOr<uint64_t> StepLoop::Submit(GenerationRequest request) {
  return impl_->Submit(std::move(request));
}
void StepLoop::Cancel(uint64_t id) { impl_->inbox().Cancel(id); }
void StepLoop::Drain() {
  Drain(WithReason(absl::UnavailableError("the worker is draining"), "draining"));
}
void StepLoop::Drain(absl::Status refusal) { impl_->inbox().Drain(std::move(refusal)); }
void StepLoop::Resume() {
  impl_->ReportCapacity();
  impl_->inbox().Resume();
}
void StepLoop::EndAll(absl::Status status) { impl_->inbox().EndAll(std::move(status)); }
void StepLoop::Close() { impl_->Close(); }
bool StepLoop::WaitIdle(absl::Duration timeout) { return impl_->inbox().WaitIdle(timeout); }
LoadSnapshot StepLoop::Load() const { return impl_->inbox().Load(); }
absl::Status StepLoop::CheckRoom() const { return impl_->inbox().CheckRoom(/*prompt_tokens=*/1); }
absl::Duration StepLoop::StalledFor() const { return impl_->inbox().StalledFor(); }
absl::StatusOr<std::shared_ptr<const BoundAdapter>> StepLoop::Bind(
    std::shared_ptr<const Adapter> adapter) const {
  if (impl_->model() == nullptr) return absl::UnavailableError("the model is not served any more");
  return impl_->model()->Bind(std::move(adapter), impl_->stream());
}
const ModelDescription& StepLoop::model() const { return impl_->description(); }
const StateLayout& StepLoop::state_layout() const { return impl_->state_layout(); }
int64_t StepLoop::state_bytes_per_sequence() const { return impl_->state_layout().bytes; }
int64_t StepLoop::kv_bytes_per_token() const { return impl_->kv_bytes_per_token(); }
int64_t StepLoop::max_tokens_per_sequence() const { return impl_->max_tokens(/*branches=*/1); }

}  // namespace skein
