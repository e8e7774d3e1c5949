#include "worker/rpc/generate_reactor.h"

#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"

#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "worker/rpc/call_log.h"
#include "worker/rpc/generate_conversion.h"
#include "worker/rpc/grpc_status.h"
#include "worker/rpc/response_conversion.h"

namespace skein {
namespace {

// Below 2^53, so that a seed survives a JSON number.
uint64_t RandomSeed() {
  thread_local absl::BitGen random;
  return absl::Uniform<uint64_t>(random, 0, uint64_t{1} << 53);
}

}  // namespace

grpc::ServerWriteReactor<v1::GenerateResponse>* GenerateReactor::Begin(
    ModelHost& host, CallInfo call, const v1::GenerateRequest& request) {
  std::shared_ptr<GenerateReactor> reactor(new GenerateReactor(host, std::move(call)));
  reactor->self_ = reactor;
  const absl::Status status = reactor->Submit(host, request);
  if (!status.ok()) {
    host.CountRefused(status);
    const std::lock_guard<std::mutex> lock(reactor->mu_);
    reactor->ended_ = true;
    reactor->status_ = status;
    reactor->FinishLocked();
  }
  return reactor.get();
}

absl::Status GenerateReactor::Submit(ModelHost& host, const v1::GenerateRequest& request) {
  ASSIGN_OR_RETURN(model_, host.Find(request.model()));
  RETURN_IF_ERROR(model_->loop->CheckRoom());  // before tokenising costs what shall not be spent
  ASSIGN_OR_RETURN(ConvertedGenerate converted,
                   ConvertGenerate(request, model_->profile, *model_->registry, RandomSeed()));
  echo_ = std::move(converted.echo);
  num_choices_ = converted.engine.num_choices;
  converted.engine.request_id = call_.request_id;
  converted.engine.deadline = call_.deadline;
  converted.engine.sink = self_;
  ASSIGN_OR_RETURN(request_, model_->loop->Submit(std::move(converted.engine)));
  return absl::OkStatus();
}

void GenerateReactor::Start(const StartInfo& info) {
  v1::Started started = ConvertStarted(info, tokenizer());
  const std::lock_guard<std::mutex> lock(mu_);
  if (broken_) return;
  buffer_.AddStarted(std::move(started), echo_, num_choices_);
  FlushLocked();
}

void GenerateReactor::Write(OutputChunk chunk) {
  const std::optional<FinishReason> finish = chunk.finish;
  v1::GenerateResponse message = ConvertChunk(std::move(chunk), tokenizer());
  const std::lock_guard<std::mutex> lock(mu_);
  if (finish.has_value()) finish_ = finish;
  if (broken_) return;
  buffer_.AddChunk(std::move(message));
  FlushLocked();
}

void GenerateReactor::End(const absl::Status& status, const RequestUsage& usage) {
  const std::lock_guard<std::mutex> lock(mu_);
  ended_ = true;
  status_ = status;
  usage_ = usage;
  if (status.ok() && !broken_) buffer_.AddUsage(ConvertUsage(usage));
  FlushLocked();
}

void GenerateReactor::OnWriteDone(bool ok) {
  // OnDone may come on another thread before the lock is released.
  const std::shared_ptr<GenerateReactor> keep = shared_from_this();
  const std::lock_guard<std::mutex> lock(mu_);
  writing_ = false;
  if (!ok) {
    broken_ = true;
    buffer_.Clear();
  }
  FlushLocked();
}

void GenerateReactor::OnCancel() {
  if (request_) model_->loop->Cancel(*request_);
}

void GenerateReactor::OnDone() {
  {
    const std::lock_guard<std::mutex> lock(mu_);
    LogCall(call_, {.method = "Generate",
                    .model = model_name_,
                    .status = status_,
                    .usage = usage_,
                    .finish = finish_});
  }
  model_.reset();
  const std::shared_ptr<GenerateReactor> last = std::move(self_);
}

// Writes never end inside StartWrite: their callbacks come on gRPC's threads, so the lock can be
// held.
void GenerateReactor::FlushLocked() {
  if (writing_ || finished_) return;
  if (buffer_.empty()) {
    if (ended_) FinishLocked();
    return;
  }
  in_flight_ = buffer_.Take();
  writing_ = true;
  if (ended_ && status_.ok() && buffer_.empty()) {
    finished_ = true;
    StartWriteAndFinish(&in_flight_, grpc::WriteOptions(), grpc::Status::OK);
  } else {
    StartWrite(&in_flight_);
  }
}

void GenerateReactor::FinishLocked() {
  finished_ = true;
  if (status_.code() == absl::StatusCode::kInternal) {
    LogError("request failed",
             {{"request", call_.request_id}, {"error", std::string(status_.message())}});
  }
  Finish(ToGrpcStatus(status_));
}

}  // namespace skein
