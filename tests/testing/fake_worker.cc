#include "tests/testing/fake_worker.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include <grpcpp/grpcpp.h>

#include "common/base/check.h"
#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/registry.grpc.pb.h"
#include "skein/v1/workers.grpc.pb.h"

namespace skein {
namespace {

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

// How often a waiting call looks whether it was cancelled.
constexpr absl::Duration kPoll = absl::Milliseconds(2);

absl::StatusOr<v1::TokenizeResponse> BytesAsTokens(const v1::TokenizeRequest& request) {
  v1::TokenizeResponse response;
  for (const char byte : request.prompt().text()) {
    v1::TokenInfo& token = *response.add_tokens();
    token.set_id(static_cast<unsigned char>(byte));
    token.set_text(std::string(1, byte));
  }
  return response;
}

absl::StatusOr<v1::ScoreResponse> ScoresOfZero(const v1::ScoreRequest& request) {
  v1::ScoreResponse response;
  for (const uint32_t id : request.prompt().tokens().ids()) response.add_tokens()->set_id(id);
  for (const char byte : request.prompt().text()) {
    response.add_tokens()->set_id(static_cast<unsigned char>(byte));
  }
  return response;
}

absl::StatusOr<v1::DetokenizeResponse> TokensAsBytes(const v1::DetokenizeRequest& request) {
  v1::DetokenizeResponse response;
  for (const uint32_t id : request.ids()) response.mutable_text()->push_back(static_cast<char>(id));
  return response;
}

}  // namespace

class FakeWorker::Impl final : public v1::InferenceService::Service,
                               public v1::WorkerService::Service,
                               public v1::RegistryService::Service {
 public:
  explicit Impl(const std::string& model) : models_({FakeModelInfo(model)}) {
    generate_ = [](const v1::GenerateRequest&) { return SayPieces({"Hello", ",", " world"}); };
    score_ = ScoresOfZero;
    tokenize_ = BytesAsTokens;
    detokenize_ = TokensAsBytes;
    load_model_ = [](const v1::LoadModelRequest&) { return absl::OkStatus(); };
    list_entries_ = [](const v1::ListRequest&) { return absl::UnimplementedError("none"); };
  }

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    const std::function<FakeGeneration(const v1::GenerateRequest&)> script =
        Begin(*context, *request);
    const FakeGeneration generation = script(*request);
    const bool completed = Play(generation, *context, *writer);
    const std::lock_guard<std::mutex> lock(mu_);
    --num_running_;
    ++version_;
    if (!completed) ++num_cancelled_;
    changed_.notify_all();
    return completed ? ToGrpc(generation.status) : grpc::Status::CANCELLED;
  }

  grpc::Status Score(grpc::ServerContext*, const v1::ScoreRequest* request,
                     v1::ScoreResponse* response) override {
    return Answer(Copy(score_)(*request), response);
  }

  grpc::Status Tokenize(grpc::ServerContext*, const v1::TokenizeRequest* request,
                        v1::TokenizeResponse* response) override {
    return Answer(Copy(tokenize_)(*request), response);
  }

  grpc::Status Detokenize(grpc::ServerContext*, const v1::DetokenizeRequest* request,
                          v1::DetokenizeResponse* response) override {
    return Answer(Copy(detokenize_)(*request), response);
  }

  grpc::Status LoadAdapter(grpc::ServerContext*, const v1::LoadAdapterRequest* request,
                           v1::Entry* response) override {
    if (const auto script = Copy(load_adapter_)) return Answer(script(*request), response);
    const auto entry = OfRegistry(
        /*is_change=*/true, [&](FakeRegistry& registry) { return registry.LoadAdapter(*request); });
    return Answer(entry.value_or(absl::UnimplementedError("none")), response);
  }

  grpc::Status List(grpc::ServerContext*, const v1::ListRequest* request,
                    v1::ListResponse* response) override {
    if (const auto listed = OfRegistry(/*is_change=*/false, &FakeRegistry::List)) {
      *response = *listed;
      return grpc::Status::OK;
    }
    return Answer(Copy(list_entries_)(*request), response);
  }

  grpc::Status LoadState(grpc::ServerContext*, const v1::LoadStateRequest* request,
                         v1::Entry* response) override {
    const auto entry = OfRegistry(
        /*is_change=*/true, [&](FakeRegistry& registry) { return registry.LoadState(*request); });
    return Answer(entry.value_or(absl::UnimplementedError("none")), response);
  }

  grpc::Status DefineMixture(grpc::ServerContext*, const v1::DefineMixtureRequest* request,
                             v1::Entry* response) override {
    const auto entry = OfRegistry(/*is_change=*/true, [&](FakeRegistry& registry) {
      return registry.DefineMixture(*request);
    });
    return Answer(entry.value_or(absl::UnimplementedError("none")), response);
  }

  grpc::Status Remove(grpc::ServerContext*, const v1::RemoveRequest* request,
                      v1::RemoveResponse*) override {
    const auto status = OfRegistry(
        /*is_change=*/true, [&](FakeRegistry& registry) { return registry.Remove(*request); });
    return ToGrpc(status.value_or(absl::UnimplementedError("none")));
  }

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* response) override {
    const std::lock_guard<std::mutex> lock(mu_);
    for (const v1::ModelInfo& model : models_) *response->add_models() = model;
    return grpc::Status::OK;
  }

  grpc::Status LoadModel(grpc::ServerContext*, const v1::LoadModelRequest* request,
                         grpc::ServerWriter<v1::LoadProgress>* writer) override {
    Update([&](Impl& impl) { impl.model_loads_.push_back(*request); });
    const absl::Status status = Copy(load_model_)(*request);
    if (!status.ok()) return ToGrpc(status);
    v1::LoadProgress progress;
    progress.set_bytes_total(100);
    writer->Write(progress);
    Update([&](Impl& impl) {
      v1::ModelInfo model = FakeModelInfo(request->name());
      *model.mutable_defaults() = request->defaults();
      impl.models_ = {model};
      if (impl.registry_.has_value()) impl.registry_.emplace();
    });
    progress.set_bytes_done(100);
    *progress.mutable_ready() = Copy(models_)[0];
    writer->Write(progress);
    return grpc::Status::OK;
  }

  grpc::Status UnloadModel(grpc::ServerContext*, const v1::UnloadModelRequest* request,
                           v1::UnloadModelResponse*) override {
    bool served = false;
    Update([&](Impl& impl) {
      served = !impl.models_.empty() && impl.models_[0].name() == request->name();
      if (served) impl.models_.clear();
      if (served && impl.registry_.has_value()) impl.registry_.emplace();
    });
    return served ? grpc::Status::OK : grpc::Status(grpc::StatusCode::NOT_FOUND, "model: none");
  }

  grpc::Status WatchLoad(grpc::ServerContext* context, const v1::WatchLoadRequest* request,
                         grpc::ServerWriter<v1::WorkerLoad>* writer) override {
    const absl::Duration heartbeat = request->heartbeat_ms() == 0
                                         ? absl::InfiniteDuration()
                                         : absl::Milliseconds(request->heartbeat_ms());
    int told = -1;
    absl::Time told_at = absl::InfinitePast();
    std::unique_lock<std::mutex> lock(mu_);
    while (!stopping_ && !context->IsCancelled()) {
      if (silent_ || (told == version_ && absl::Now() < told_at + heartbeat)) {
        changed_.wait_for(lock, absl::ToChronoMilliseconds(kPoll));
        continue;
      }
      told = version_;
      told_at = absl::Now();
      v1::WorkerLoad load = load_;
      if (registry_.has_value()) load.set_registry_revision(registry_->revision());
      load.set_running(load.running() + static_cast<uint32_t>(num_running_));
      load.set_heartbeat_ms(request->heartbeat_ms());
      for (const v1::ModelInfo& model : models_) load.add_ready_models(model.name());
      lock.unlock();
      const bool written = writer->Write(load);
      lock.lock();
      if (!written) break;
    }
    return grpc::Status::CANCELLED;
  }

  void Start() {
    SKEIN_CHECK(server_ == nullptr);
    {
      const std::lock_guard<std::mutex> lock(mu_);
      stopping_ = false;
    }
    grpc::ServerBuilder builder;
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(-1);
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port_), grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(static_cast<v1::InferenceService::Service*>(this));
    builder.RegisterService(static_cast<v1::WorkerService::Service*>(this));
    builder.RegisterService(static_cast<v1::RegistryService::Service*>(this));
    server_ = builder.BuildAndStart();
    SKEIN_CHECK(server_ != nullptr && port_ != 0);
  }

  void Stop(absl::Duration grace) {
    if (server_ == nullptr) return;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      stopping_ = true;
    }
    changed_.notify_all();
    server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
    server_->Wait();
    server_.reset();
  }

  // Runs `change` under the lock and wakes the watchers.
  template <typename Change>
  void Update(Change change) {
    const std::lock_guard<std::mutex> lock(mu_);
    change(*this);
    ++version_;
    changed_.notify_all();
  }

  // `counter` is one of those that mu_ guards.
  bool WaitFor(const int& counter, int count, absl::Duration timeout) {
    std::unique_lock<std::mutex> lock(mu_);
    return changed_.wait_for(lock, absl::ToChronoMilliseconds(timeout),
                             [&counter, count] { return counter >= count; });
  }

  template <typename Value>
  Value Copy(const Value& guarded) {
    const std::lock_guard<std::mutex> lock(mu_);
    return guarded;
  }

  std::mutex mu_;
  std::condition_variable changed_;
  // Guarded by mu_.
  std::function<FakeGeneration(const v1::GenerateRequest&)> generate_;
  std::function<absl::StatusOr<v1::ScoreResponse>(const v1::ScoreRequest&)> score_;
  std::function<absl::StatusOr<v1::TokenizeResponse>(const v1::TokenizeRequest&)> tokenize_;
  std::function<absl::StatusOr<v1::DetokenizeResponse>(const v1::DetokenizeRequest&)> detokenize_;
  std::function<absl::StatusOr<v1::Entry>(const v1::LoadAdapterRequest&)> load_adapter_;
  std::function<absl::StatusOr<v1::ListResponse>(const v1::ListRequest&)> list_entries_;
  std::function<absl::Status(const v1::LoadModelRequest&)> load_model_;
  std::vector<v1::LoadModelRequest> model_loads_;
  std::optional<FakeRegistry> registry_;
  int num_registry_changes_ = 0;
  std::vector<v1::ModelInfo> models_;
  std::vector<SeenCall> calls_;
  v1::WorkerLoad load_;
  bool silent_ = false;
  bool stopping_ = false;
  int version_ = 0;
  int num_cancelled_ = 0;
  int num_running_ = 0;
  int num_messages_ = 0;
  // Touched by the test's thread only.
  int port_ = 0;

 private:
  std::function<FakeGeneration(const v1::GenerateRequest&)> Begin(
      const grpc::ServerContext& context, const v1::GenerateRequest& request) {
    SeenCall call;
    call.request = request;
    for (const auto& [name, value] : context.client_metadata()) {
      call.metadata[std::string(name.data(), name.size())] =
          std::string(value.data(), value.size());
    }
    const auto deadline = context.deadline();
    call.time_left = deadline == std::chrono::system_clock::time_point::max()
                         ? absl::InfiniteDuration()
                         : absl::FromChrono(deadline) - absl::Now();
    const std::lock_guard<std::mutex> lock(mu_);
    calls_.push_back(std::move(call));
    ++num_running_;
    ++version_;
    changed_.notify_all();
    return generate_;
  }

  // False if the client cancelled first.
  bool Play(const FakeGeneration& script, grpc::ServerContext& context,
            grpc::ServerWriter<v1::GenerateResponse>& writer) {
    for (const FakeGeneration::Step& step : script.steps) {
      if (!Sleep(step.delay, context) || !writer.Write(step.message)) return false;
      const std::lock_guard<std::mutex> lock(mu_);
      ++num_messages_;
    }
    return Sleep(script.delay_before_end, context);
  }

  // False if the call was cancelled meanwhile.
  bool Sleep(absl::Duration duration, grpc::ServerContext& context) {
    const absl::Time until = absl::Now() + duration;
    while (absl::Now() < until) {
      if (context.IsCancelled() || Copy(stopping_)) return false;
      absl::SleepFor(std::min(kPoll, until - absl::Now()));
    }
    return !context.IsCancelled();
  }

  // What `call` says of the registry, if there is one.
  template <typename Call>
  auto OfRegistry(bool is_change, Call call)
      -> std::optional<std::invoke_result_t<Call, FakeRegistry&>> {
    const std::lock_guard<std::mutex> lock(mu_);
    if (!registry_.has_value()) return std::nullopt;
    auto result = std::invoke(call, *registry_);
    if (is_change) {
      ++num_registry_changes_;
      ++version_;
      changed_.notify_all();
    }
    return result;
  }

  template <typename Response>
  grpc::Status Answer(const absl::StatusOr<Response>& result, Response* response) {
    if (!result.ok()) return ToGrpc(result.status());
    *response = *result;
    return grpc::Status::OK;
  }

  std::unique_ptr<grpc::Server> server_;
};

FakeWorker::FakeWorker(const std::string& model) : impl_(std::make_unique<Impl>(model)) {
  impl_->Start();
}

FakeWorker::~FakeWorker() { Stop(); }

std::string FakeWorker::address() const { return absl::StrCat("127.0.0.1:", impl_->port_); }

void FakeWorker::OnGenerate(std::function<FakeGeneration(const v1::GenerateRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.generate_ = std::move(script); });
}

void FakeWorker::OnScore(
    std::function<absl::StatusOr<v1::ScoreResponse>(const v1::ScoreRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.score_ = std::move(script); });
}

void FakeWorker::OnTokenize(
    std::function<absl::StatusOr<v1::TokenizeResponse>(const v1::TokenizeRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.tokenize_ = std::move(script); });
}

void FakeWorker::OnDetokenize(
    std::function<absl::StatusOr<v1::DetokenizeResponse>(const v1::DetokenizeRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.detokenize_ = std::move(script); });
}

void FakeWorker::OnLoadAdapter(
    std::function<absl::StatusOr<v1::Entry>(const v1::LoadAdapterRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.load_adapter_ = std::move(script); });
}

void FakeWorker::OnListEntries(
    std::function<absl::StatusOr<v1::ListResponse>(const v1::ListRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.list_entries_ = std::move(script); });
}

void FakeWorker::OnLoadModel(std::function<absl::Status(const v1::LoadModelRequest&)> script) {
  impl_->Update([&](Impl& impl) { impl.load_model_ = std::move(script); });
}

std::vector<v1::LoadModelRequest> FakeWorker::model_loads() const {
  return impl_->Copy(impl_->model_loads_);
}

void FakeWorker::UseRegistry() {
  impl_->Update([](Impl& impl) { impl.registry_.emplace(); });
}

void FakeWorker::ChangeRegistry(const std::function<void(FakeRegistry&)>& change) {
  impl_->Update([&change](Impl& impl) { change(*impl.registry_); });
}

std::vector<std::string> FakeWorker::registered() const {
  return impl_->Copy(impl_->registry_)->names();
}
int FakeWorker::num_registry_changes() const { return impl_->Copy(impl_->num_registry_changes_); }

void FakeWorker::SetModels(std::vector<v1::ModelInfo> models) {
  impl_->Update([&](Impl& impl) { impl.models_ = std::move(models); });
}

void FakeWorker::SetDraining(bool draining) {
  impl_->Update([&](Impl& impl) { impl.load_.set_draining(draining); });
}

void FakeWorker::SetLoad(const v1::WorkerLoad& load) {
  impl_->Update([&](Impl& impl) { impl.load_ = load; });
}

void FakeWorker::SetSilent(bool silent) {
  impl_->Update([&](Impl& impl) { impl.silent_ = silent; });
}

void FakeWorker::Stop(absl::Duration grace) { impl_->Stop(grace); }
void FakeWorker::Start() { impl_->Start(); }

std::vector<SeenCall> FakeWorker::calls() const { return impl_->Copy(impl_->calls_); }
int FakeWorker::num_cancelled() const { return impl_->Copy(impl_->num_cancelled_); }
int FakeWorker::num_running() const { return impl_->Copy(impl_->num_running_); }
int FakeWorker::num_messages() const { return impl_->Copy(impl_->num_messages_); }

bool FakeWorker::WaitForRunning(int count, absl::Duration timeout) const {
  return impl_->WaitFor(impl_->num_running_, count, timeout);
}

bool FakeWorker::WaitForCancelled(int count, absl::Duration timeout) const {
  return impl_->WaitFor(impl_->num_cancelled_, count, timeout);
}

FakeGeneration SayPieces(const std::vector<std::string>& pieces, absl::Duration delay) {
  FakeGeneration script;
  v1::GenerateResponse started;
  started.mutable_started()->set_seed(7);
  started.mutable_started()->set_prompt_tokens(3);
  script.steps.push_back({started, absl::ZeroDuration()});
  for (const std::string& piece : pieces) {
    v1::GenerateResponse message;
    message.set_text(piece);
    message.set_drawn(1);
    script.steps.push_back({message, delay});
  }
  v1::GenerateResponse last;
  if (!pieces.empty()) {
    last = script.steps.back().message;
    script.steps.pop_back();
  }
  last.set_finish(v1::FINISH_REASON_STOP);
  last.mutable_usage()->set_prompt_tokens(3);
  last.mutable_usage()->set_completion_tokens(static_cast<uint32_t>(pieces.size()));
  last.mutable_usage()->set_state_rows(1);
  script.steps.push_back({last, delay});
  return script;
}

v1::ModelInfo FakeModelInfo(const std::string& name) {
  v1::ModelInfo model;
  model.set_name(name);
  model.set_architecture("rwkv7");
  model.set_weight_format("bf16");
  model.set_max_sequences(64);
  model.set_max_prompt_tokens(4096);
  model.set_chat_format("chatml");
  model.set_fingerprint("fake-1");
  model.set_loaded_unix_s(1700000000);
  model.set_vocab_size(256);
  model.set_has_tokenizer(true);
  return model;
}

}  // namespace skein
