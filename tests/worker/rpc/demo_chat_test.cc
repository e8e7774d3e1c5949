// The model that comes with skein, loaded from its files and asked over gRPC.
#include <string>
#include <thread>
#include <vector>

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "gtest/gtest.h"

#include "skein/v1/inference.grpc.pb.h"
#include "tests/testing/golden.h"
#include "tests/worker/rpc/test_worker.h"
#include "worker/engine/model_host.h"
#include "worker/rpc/rpc_server.h"

namespace skein {
namespace {

struct Question {
  const char* text;
  const char* answer;
};

// Of tests/e2e/data/eval_prompts.jsonl: answers that the model is sure of.
constexpr Question kQuestions[] = {
    {"What is 803 plus 802?", "1605"},
    {"6 x 5", "30"},
    {"Is 772 odd?", "No."},
    {"Sort these numbers from high to low: 14 3 18 6 5", "18, 14, 6, 5, 3"},
    {"Now: Which is the largest number: 79, 68, 85?", "85"},
};

class DemoChatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ModelHost::Options options;
    options.model.name = "demo";
    options.model.path = SourcePath("deploy/demo-model");
    host_ = std::make_unique<ModelHost>(std::move(options));
    keeper_ = *RegistryKeeper::Create({});
    auto server = RpcServer::Start(*host_, *keeper_, {"127.0.0.1:0", false});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    host_->StartLoading();
    while (host_->status().state == ModelState::kLoading) absl::SleepFor(absl::Milliseconds(5));
    stub_ = v1::InferenceService::NewStub(
        grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials()));
  }

  std::string Ask(const std::string& question) {
    v1::GenerateRequest request;
    v1::ChatTurn* turn = request.mutable_prompt()->mutable_chat()->add_turns();
    turn->set_role("user");
    turn->set_content(question);
    request.mutable_sampling()->set_temperature(0);
    request.mutable_stopping()->set_max_tokens(64);
    const Collected got = Collect(*stub_, request);
    EXPECT_TRUE(got.status.ok()) << got.status.error_message();
    return got.Text();
  }

  std::unique_ptr<RegistryKeeper> keeper_;
  std::unique_ptr<ModelHost> host_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<v1::InferenceService::Stub> stub_;
};

TEST_F(DemoChatTest, AnswersAreRightAloneAndTogether) {
  for (const Question& question : kQuestions) {
    EXPECT_EQ(Ask(question.text), question.answer) << question.text;
  }
  std::vector<std::thread> askers;
  for (int i = 0; i < 20; ++i) {
    askers.emplace_back([this, question = kQuestions[i % std::size(kQuestions)]] {
      EXPECT_EQ(Ask(question.text), question.answer) << question.text;
    });
  }
  for (std::thread& asker : askers) asker.join();
}

}  // namespace
}  // namespace skein
