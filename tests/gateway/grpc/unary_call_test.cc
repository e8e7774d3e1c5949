#include "gateway/grpc/unary_call.h"

#include "skein/v1/workers.grpc.pb.h"
#include "tests/gateway/grpc/front_fixture.h"

namespace skein {
namespace {

class UnaryCallTest : public FrontTest {
 protected:
  grpc::Status Tokenize(const std::string& text, v1::TokenizeResponse& response) {
    grpc::ClientContext context;
    v1::TokenizeRequest request;
    request.set_model("fake");
    request.mutable_prompt()->set_text(text);
    return inference().Tokenize(&context, request, &response);
  }
};

TEST_F(UnaryCallTest, PassesAnswersOn) {
  v1::TokenizeResponse tokens;
  ASSERT_TRUE(Tokenize("AB", tokens).ok());
  ASSERT_EQ(tokens.tokens_size(), 2);
  EXPECT_EQ(tokens.tokens(1).id(), 66u);

  grpc::ClientContext context;
  v1::DetokenizeRequest request;
  request.add_ids(67);  // the only model there is
  v1::DetokenizeResponse text;
  ASSERT_TRUE(inference().Detokenize(&context, request, &text).ok());
  EXPECT_EQ(text.text(), "C");
}

TEST_F(UnaryCallTest, PassesErrorsOn) {
  for (FakeWorker* worker : {&a_, &b_}) {
    worker->OnTokenize(
        [](const v1::TokenizeRequest&) { return absl::FailedPreconditionError("no tokenizer"); });
  }
  v1::TokenizeResponse tokens;
  const grpc::Status status = Tokenize("AB", tokens);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "no tokenizer");
}

TEST_F(UnaryCallTest, MovesToAnotherWorker) {
  a_.OnTokenize([](const v1::TokenizeRequest&) { return absl::UnavailableError("draining"); });
  for (int i = 0; i < 4; ++i) {
    v1::TokenizeResponse tokens;
    EXPECT_TRUE(Tokenize("AB", tokens).ok());
  }
}

TEST_F(UnaryCallTest, WhatTheWorkerDoesNotHaveIsUnimplemented) {
  grpc::ClientContext context;
  const auto registry = v1::RegistryService::NewStub(channel());
  v1::ListResponse response;
  EXPECT_EQ(registry->List(&context, v1::ListRequest(), &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(UnaryCallTest, PassesScoresOn) {
  grpc::ClientContext context;
  v1::ScoreRequest request;
  request.mutable_prompt()->set_text("AB");
  v1::ScoreResponse response;
  EXPECT_TRUE(inference().Score(&context, request, &response).ok());
  EXPECT_EQ(response.tokens_size(), 2);
}

TEST_F(UnaryCallTest, WorkersOwnServicesAreNotServed) {
  const auto stub = v1::WorkerService::NewStub(channel());
  grpc::ClientContext context;
  v1::DrainResponse response;
  EXPECT_EQ(stub->Drain(&context, v1::DrainRequest(), &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

}  // namespace
}  // namespace skein
