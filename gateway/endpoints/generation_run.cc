#include "gateway/endpoints/generation_run.h"

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "gateway/access/token_estimate.h"
#include "gateway/endpoints/admit_request.h"
#include "gateway/endpoints/call_options.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/record_generation.h"
#include "gateway/endpoints/resolve_model.h"
#include "gateway/endpoints/worker_errors.h"
#include "gateway/rpc/inference_client.h"

namespace skein {
namespace {

constexpr char kDone[] = "[DONE]";

// Kept alive by the callbacks of its calls. Thread-safe.
class GenerationRun : public std::enable_shared_from_this<GenerationRun> {
 public:
  GenerationRun(const HttpRequest& request, GatewayContext& context,
                const TextRequest& text_request, std::unique_ptr<ReplyFormat> format,
                std::shared_ptr<HttpResponder> out, Admission admission)
      : context_(context),
        request_id_(request.request_id),
        received_(request.received),
        prompt_field_(text_request.prompts[0].has_chat() ? "messages" : "prompt"),
        stream_(text_request.stream),
        model_(text_request.generate.model()),
        access_(request.access),
        format_(std::move(format)),
        out_(std::move(out)),
        admission_(std::move(admission)),
        meters_(text_request.prompts.size(), TokenMeter(admission_)),
        open_calls_(text_request.prompts.size()),
        open_choices_(open_calls_ * std::max(1u, text_request.generate.n())) {}

  // Before any call of Start: nothing of this run has happened yet.
  void WatchClient() {
    // Weak, because the responder lives as long as this run does.
    out_->OnDisconnect([weak = weak_from_this()] {
      if (const auto run = weak.lock()) run->Cancel();
    });
    out_->OnShutdown([weak = weak_from_this()] {
      const auto run = weak.lock();
      if (run != nullptr) run->Fail(absl::UnavailableError("the gateway is shutting down"));
    });
    if (!stream_) return;
    // In a long queue or prefill: comments then flow before the worker's first message.
    out_->OnSilence([weak = weak_from_this()] {
      if (const auto run = weak.lock()) run->StartEarly();
    });
  }

  absl::Status Start(size_t prompt_index, const v1::GenerateRequest& request,
                     const CallOptions& options) {
    GenerateCallbacks callbacks;
    callbacks.on_message = [run = shared_from_this(),
                            prompt_index](const v1::GenerateResponse& message) {
      run->OnMessage(prompt_index, message);
    };
    callbacks.on_done = [run = shared_from_this()](const absl::Status& status) {
      run->OnDone(status);
    };
    {
      const std::lock_guard<std::mutex> lock(mu_);
      meters_[prompt_index].OnAsked(EstimateTokens(request.prompt()));
    }
    if (stream_) {
      callbacks.hold = [run = shared_from_this()](std::function<void()> resume) {
        return run->AwaitRoom(std::move(resume));
      };
    }
    auto call = StartGenerateWithRetry(context_.workers, request, options, std::move(callbacks));
    if (!call.ok()) return FromPick(call.status());
    bool cancelled = false;
    {
      const std::lock_guard<std::mutex> lock(calls_mu_);
      cancelled = cancelled_;
      if (!cancelled) calls_.push_back(*call);
    }
    if (cancelled) (*call)->Cancel();
    return absl::OkStatus();
  }

  // Ends the run with an error, unless it has ended.
  void Fail(const absl::Status& status) {
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (ended_) return;
      ended_ = true;
      for (TokenMeter& meter : meters_) meter.OnFailure(status.code());
      admission_ = Admission();
      SendErrorLocked(FromWorker(status, prompt_field_));
    }
    Cancel();
  }

  void Cancel() {
    std::vector<std::shared_ptr<GenerateCall>> calls;
    {
      const std::lock_guard<std::mutex> lock(calls_mu_);
      cancelled_ = true;
      calls.swap(calls_);
    }
    for (const auto& call : calls) call->Cancel();
  }

 private:
  void StartEarly() {
    const std::lock_guard<std::mutex> lock(mu_);
    if (ended_ || writer_ != nullptr) return;
    writer_ = out_->StartEvents();
  }

  void OnMessage(size_t prompt_index, const v1::GenerateResponse& message) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (ended_) return;
    meters_[prompt_index].OnMessage(message);
    if (!message.text().empty()) ObserveTextLocked({prompt_index, message.choice()});
    RecordGeneration(message, *access_);
    if (message.finish() != v1::FINISH_REASON_UNSPECIFIED && open_choices_ > 0) --open_choices_;
    const std::vector<std::string> events = format_->OnMessage(prompt_index, message);
    if (!stream_) return;
    if (writer_ == nullptr) writer_ = out_->StartEvents();
    for (const std::string& event : events) writer_->Event(event);
  }

  // Each call waits by itself for the client, who reads slower than workers write.
  bool AwaitRoom(std::function<void()> resume) {
    std::shared_ptr<SseWriter> writer;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (!ended_) writer = writer_;
    }
    return writer != nullptr && writer->AwaitRoom(std::move(resume));
  }

  // A choice of a prompt.
  using ChoiceKey = std::pair<size_t, uint32_t>;

  void ObserveTextLocked(ChoiceKey choice) {
    const absl::Time now = context_.clock.Now();
    if (!latencies_.has_value()) {
      latencies_.emplace(context_.metrics.LatenciesOf(model_));
      const absl::Duration first = now - received_;
      latencies_->first_token_seconds.Observe(absl::ToDoubleSeconds(first));
      access_->Update([first](AccessFacts& facts) { facts.first_token = first; });
    }
    const auto [last, is_first] = last_text_.try_emplace(choice, now);
    if (is_first) return;
    latencies_->inter_token_seconds.Observe(absl::ToDoubleSeconds(now - last->second));
    last->second = now;
  }

  void OnDone(const absl::Status& status) {
    if (!status.ok()) return Fail(status);
    bool cut_short = false;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      if (ended_ || --open_calls_ > 0) return;
      cut_short = open_choices_ > 0;
      if (!cut_short) {
        ended_ = true;
        admission_ = Admission();  // before the client can send its next request
        FinishLocked();
      }
    }
    if (cut_short) {
      Fail(absl::InternalError("the worker ended the call before every choice was finished"));
      return;
    }
    Cancel();  // lets go of the calls
  }

  void FinishLocked() {
    std::string last = format_->Finish();
    if (!stream_) {
      out_->Send({.body = std::move(last), .headers = {}});
      return;
    }
    if (writer_ == nullptr) writer_ = out_->StartEvents();
    if (!last.empty()) writer_->Event(last);
    writer_->Event(kDone);
    writer_->Close();
  }

  void SendErrorLocked(const absl::Status& status) {
    access_->Update([&status](AccessFacts& facts) { facts.error = StatusLabel(status); });
    if (writer_ == nullptr) {
      out_->Send(ErrorResponse(status, request_id_));
      return;
    }
    LogIfInternal(status, request_id_);
    context_.metrics.CountFailedStream(status);
    writer_->Event(ErrorBody(status, request_id_));
    writer_->Close();
  }

  GatewayContext& context_;
  const std::string request_id_;
  const absl::Time received_;
  const char* const prompt_field_;
  const bool stream_;
  const std::string model_;
  const std::shared_ptr<AccessRecord> access_;

  // Held while the client is written to, so that events of several calls keep their order.
  std::mutex mu_;
  // Guarded by mu_.
  const std::unique_ptr<ReplyFormat> format_;
  const std::shared_ptr<HttpResponder> out_;
  std::shared_ptr<SseWriter> writer_;
  Admission admission_;             // until the answer is complete
  std::vector<TokenMeter> meters_;  // by prompt
  size_t open_calls_;
  size_t open_choices_;
  std::optional<GatewayMetrics::Latencies> latencies_;  // since the first text
  std::map<ChoiceKey, absl::Time> last_text_;
  bool ended_ = false;

  // Never held together with mu_ or while calling out: the server may call Cancel with locks of its
  // own.
  std::mutex calls_mu_;
  // Guarded by calls_mu_.
  std::vector<std::shared_ptr<GenerateCall>> calls_;
  bool cancelled_ = false;
};

std::string RandomHex() {
  static std::mutex mu;
  static std::mt19937_64 random{std::random_device{}()};  // guarded by mu
  const std::lock_guard<std::mutex> lock(mu);
  const uint64_t high = random();
  const uint64_t low = random();
  return absl::StrFormat("%016x%016x", high, low);
}

}  // namespace

ReplyHead NewReplyHead(absl::string_view prefix, const TextRequest& request,
                       const GatewayContext& context) {
  ReplyHead head;
  head.id = absl::StrCat(prefix, RandomHex());
  head.created = absl::ToUnixSeconds(context.clock.Now());
  head.model = request.model_name;
  for (const v1::ModelInfo& model : context.workers.Models()) {
    if (model.name() == request.generate.model()) head.fingerprint = model.fingerprint();
  }
  return head;
}

absl::Status AnswerGeneration(const HttpRequest& request, const Caller& caller,
                              GatewayContext& context, TextRequest text_request,
                              std::unique_ptr<ReplyFormat> format,
                              std::shared_ptr<HttpResponder> out) {
  request.access->Update([&](AccessFacts& facts) { facts.model = text_request.generate.model(); });
  ASSIGN_OR_RETURN(CallOptions options, MakeCallOptions(request, context));
  options.affinity_key =
      text_request.prompt_cache_key.empty() ? text_request.user : text_request.prompt_cache_key;
  ASSIGN_OR_RETURN(Admission admission, AdmitGeneration(caller, context, text_request, *out));
  RETURN_IF_ERROR(CheckEntries(context.workers, text_request));
  const auto run = std::make_shared<GenerationRun>(
      request, context, text_request, std::move(format), std::move(out), std::move(admission));
  run->WatchClient();
  for (size_t i = 0; i < text_request.prompts.size(); ++i) {
    v1::GenerateRequest call_request = text_request.generate;
    *call_request.mutable_prompt() = std::move(text_request.prompts[i]);
    absl::Status started = run->Start(i, call_request, options);
    if (started.ok()) continue;
    if (i == 0) return started;
    run->Fail(started);
    break;
  }
  return absl::OkStatus();
}

}  // namespace skein
