// A gateway's gRPC port in front of two fake workers of one model, and a client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "common/config/gateway_config.h"
#include "gateway/grpc/grpc_server.h"
#include "gateway/rpc/inference_client.h"
#include "skein/v1/inference.grpc.pb.h"
#include "skein/v1/registry.grpc.pb.h"
#include "tests/testing/fake_worker.h"

namespace skein {

// True once `condition` is; false if that takes more than 10 s.
inline bool Eventually(const std::function<bool()>& condition) {
  const absl::Time end = absl::Now() + absl::Seconds(10);
  while (!condition()) {
    if (absl::Now() > end) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

// What a client got from one Generate call.
struct Received {
  std::vector<v1::GenerateResponse> messages;
  std::string text;
  grpc::Status status;
};

class FrontTest : public ::testing::Test {
 protected:
  FrontTest() {
    config().set_grpc_listen("127.0.0.1:0");
    FillDefaults(config(), 2);
  }
  ~FrontTest() override {
    server_.reset();
    EXPECT_TRUE(WaitForCalls(absl::Seconds(10)));
  }

  void SetUp() override {
    ASSERT_TRUE(Eventually([this] { return BothReady(); }));
  }

  bool BothReady() {
    return pool_.Pick({.model = "fake", .avoid = {a_.address()}}).ok() &&
           pool_.Pick({.model = "fake", .avoid = {b_.address()}}).ok();
  }

  config::v1::GatewayConfig& config() { return context_.config; }

  // Started with the configuration of the first use.
  GrpcServer& server() {
    if (server_ == nullptr) {
      auto server = GrpcServer::Start(context_);
      EXPECT_TRUE(server.ok()) << server.status();
      server_ = *std::move(server);
    }
    return *server_;
  }

  std::shared_ptr<grpc::Channel> channel() {
    if (channel_ == nullptr) {
      channel_ = grpc::CreateChannel(server().address(), grpc::InsecureChannelCredentials());
    }
    return channel_;
  }
  v1::InferenceService::Stub& inference() {
    if (inference_ == nullptr) inference_ = v1::InferenceService::NewStub(channel());
    return *inference_;
  }

  static v1::GenerateRequest SomeRequest() {
    v1::GenerateRequest request;
    request.set_model("fake");
    request.mutable_prompt()->set_text("hi");
    return request;
  }

  Received Generate(const v1::GenerateRequest& request = SomeRequest()) {
    grpc::ClientContext context;
    return Generate(context, request);
  }
  Received Generate(grpc::ClientContext& context,
                    const v1::GenerateRequest& request = SomeRequest()) {
    Received received;
    const auto reader = inference().Generate(&context, request);
    v1::GenerateResponse message;
    while (reader->Read(&message)) {
      received.text += message.text();
      received.messages.push_back(message);
    }
    received.status = reader->Finish();
    return received;
  }

  // Both workers do so.
  void Script(const FakeGeneration& script) {
    for (FakeWorker* worker : {&a_, &b_}) {
      worker->OnGenerate([script](const v1::GenerateRequest&) { return script; });
    }
  }
  static FakeGeneration Endless() {
    FakeGeneration script = SayPieces({"a", "b"});
    script.delay_before_end = absl::InfiniteDuration();
    return script;
  }
  static FakeGeneration Failure(const absl::Status& status,
                                const std::vector<std::string>& pieces = {}) {
    FakeGeneration script;
    if (!pieces.empty()) script = SayPieces(pieces);
    script.status = status;
    return script;
  }

  size_t num_calls() const { return a_.calls().size() + b_.calls().size(); }
  int num_running() const { return a_.num_running() + b_.num_running(); }
  SeenCall seen() const {
    const std::vector<SeenCall> calls = a_.calls().empty() ? b_.calls() : a_.calls();
    return calls.empty() ? SeenCall() : calls.back();
  }

  FakeWorker a_, b_;
  MetricsRegistry metrics_registry_;
  GatewayMetrics metrics_{metrics_registry_};
  AccessControl access_{Clock::Real(), metrics_};
  WorkerPool pool_{{a_.address(), b_.address()}};
  GatewayContext context_{pool_, metrics_, metrics_registry_, {}, Clock::Real(), access_};
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::InferenceService::Stub> inference_;
};

}  // namespace skein
