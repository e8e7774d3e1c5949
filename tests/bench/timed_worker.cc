#include "tests/bench/timed_worker.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include <grpcpp/grpcpp.h>

#include "common/base/check.h"
#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/workers.grpc.pb.h"
#include "tests/testing/fake_worker.h"

namespace skein {
namespace {

class Inference final : public v1::InferenceService::Service {
 public:
  explicit Inference(absl::Duration pace) : pace_(absl::ToChronoNanoseconds(pace)) {}

  grpc::Status Generate(grpc::ServerContext* context, const v1::GenerateRequest* request,
                        grpc::ServerWriter<v1::GenerateResponse>* writer) override {
    v1::GenerateResponse message;
    message.mutable_started()->set_prompt_tokens(1);
    writer->Write(message);
    const uint32_t tokens = request->stopping().max_tokens();
    auto next = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < tokens && !context->IsCancelled(); ++i) {
      std::this_thread::sleep_until(next);
      next += pace_;
      message.Clear();
      message.set_text(absl::StrCat(SteadyNanos(), " "));
      if (i + 1 == tokens) message.set_finish(v1::FINISH_REASON_LENGTH);
      writer->Write(message);
    }
    message.Clear();
    message.mutable_usage()->set_prompt_tokens(1);
    message.mutable_usage()->set_completion_tokens(tokens);
    writer->Write(message);
    return grpc::Status::OK;
  }

 private:
  const std::chrono::nanoseconds pace_;
};

class Worker final : public v1::WorkerService::Service {
 public:
  void Stop() {
    const std::lock_guard<std::mutex> lock(mu_);
    stopped_ = true;
    stop_.notify_all();
  }

 private:
  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest*,
                          v1::ListModelsResponse* out) override {
    *out->add_models() = FakeModelInfo("timed");
    return grpc::Status::OK;
  }
  grpc::Status WatchLoad(grpc::ServerContext*, const v1::WatchLoadRequest*,
                         grpc::ServerWriter<v1::WorkerLoad>* writer) override {
    v1::WorkerLoad load;
    load.add_ready_models("timed");
    load.set_free_state_slots(1000);
    writer->Write(load);
    std::unique_lock<std::mutex> lock(mu_);
    stop_.wait(lock, [this] { return stopped_; });
    return grpc::Status::OK;
  }

  std::mutex mu_;
  std::condition_variable stop_;
  bool stopped_ = false;  // guarded by mu_
};

}  // namespace

int64_t SteadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class TimedWorker::Server {
 public:
  explicit Server(absl::Duration pace) : inference_(pace) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&inference_);
    builder.RegisterService(&worker_);
    server_ = builder.BuildAndStart();
    SKEIN_CHECK(server_ != nullptr);
  }
  ~Server() {
    worker_.Stop();
    server_->Shutdown();
  }
  int port() const { return port_; }

 private:
  Inference inference_;
  Worker worker_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TimedWorker::TimedWorker(absl::Duration pace)
    : server_(std::make_unique<Server>(pace)),
      address_(absl::StrCat("127.0.0.1:", server_->port())) {}

TimedWorker::~TimedWorker() = default;

}  // namespace skein
