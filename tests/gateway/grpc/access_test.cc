// Keys, roles and limits, for every method.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <grpcpp/generic/generic_stub.h>

#include "common/config/text_proto.h"
#include "gateway/grpc/methods.h"
#include "tests/gateway/grpc/front_fixture.h"
#include "tests/testing/test_keys.h"

namespace skein {
namespace {

const RpcMethod* const kMethods[] = {&kGenerate,   &kScore,     &kTokenize,
                                     &kDetokenize, &kLoadState, &kLoadAdapter,
                                     &kRemove,     &kList,      &kDefineMixture};

class GrpcAccessTest : public FrontTest {
 protected:
  void SetKeys(const std::string& text) {
    config::v1::KeysFile keys;
    ASSERT_TRUE(ParseTextProto(text, "keys", keys).ok());
    ASSERT_TRUE(access_.SetKeys(keys).ok());
  }

  static void UseKey(const std::string& key, grpc::ClientContext& context) {
    if (!key.empty()) context.AddMetadata("authorization", "Bearer " + key);
  }

  // Of a call with an empty request.
  grpc::StatusCode CodeOf(const RpcMethod& method, const std::string& key) {
    if (&method == &kGenerate) return GenerateWith(key, {}).status.error_code();
    grpc::GenericStub stub(channel());
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    UseKey(key, context);
    const grpc::Slice empty("");
    const auto call =
        stub.PrepareUnaryCall(&context, method.path, grpc::ByteBuffer(&empty, 1), &queue);
    grpc::ByteBuffer response;
    grpc::Status status;
    call->StartCall();
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return status.error_code();
  }

  // Of a prompt of so many tokens.
  grpc::Status Score(const std::string& key, int tokens,
                     absl::Duration timeout = absl::Seconds(10)) {
    grpc::ClientContext context;
    UseKey(key, context);
    context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    v1::ScoreRequest request;
    request.set_model("fake");
    for (int i = 0; i < tokens; ++i) request.mutable_prompt()->mutable_tokens()->add_ids(1);
    v1::ScoreResponse response;
    return inference().Score(&context, request, &response);
  }

  Received GenerateWith(const std::string& key,
                        const v1::GenerateRequest& request = SomeRequest()) {
    grpc::ClientContext context;
    UseKey(key, context);
    return Generate(context, request);
  }
};

TEST_F(GrpcAccessTest, EveryMethodAsksForItsRole) {
  SetKeys(TestKey("alpha", "role: 'inference'") + TestKey("beta", "role: 'metrics'") +
          TestKey("gamma", "role: 'admin'") +
          TestKey("delta",
                  "role: 'inference' role: 'metrics' role: 'admin' "
                  "expires: '2020-01-01T00:00:00Z'"));
  const std::vector<std::pair<std::string, Role>> good = {
      {"alpha", Role::kInference}, {"beta", Role::kMetrics}, {"gamma", Role::kAdmin}};
  for (const RpcMethod* method : kMethods) {
    SCOPED_TRACE(method->path);
    for (const char* none : {"", "omega", "delta"}) {  // no key, a wrong one, an expired one
      EXPECT_EQ(CodeOf(*method, none), grpc::StatusCode::UNAUTHENTICATED) << none;
    }
    for (const auto& [key, role] : good) {
      const grpc::StatusCode code = CodeOf(*method, key);
      EXPECT_NE(code, grpc::StatusCode::UNAUTHENTICATED) << key;
      EXPECT_EQ(code == grpc::StatusCode::PERMISSION_DENIED, role != method->role) << key;
    }
  }
}

// So that a method which the contract gains is walked, too.
TEST(GrpcMethodsTest, NoneOfTheServicesIsForgotten) {
  std::set<std::string> declared;
  for (const auto* file :
       {v1::GenerateRequest::descriptor()->file(), v1::ListRequest::descriptor()->file()}) {
    const auto* service = file->service(0);
    for (int i = 0; i < service->method_count(); ++i) {
      declared.insert(absl::StrCat("/", service->full_name(), "/", service->method(i)->name()));
    }
  }
  std::set<std::string> walked;
  for (const RpcMethod* method : kMethods) walked.insert(method->path);
  EXPECT_EQ(walked, declared);
}

TEST_F(GrpcAccessTest, AKeyMayBeForSomeModelsOnly) {
  SetKeys(TestKey("alpha", "role: 'inference' model: 'other'") +
          TestKey("beta", "role: 'inference' model: 'fa*'"));
  EXPECT_EQ(GenerateWith("alpha").status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_TRUE(GenerateWith("beta").status.ok());
}

TEST_F(GrpcAccessTest, AKeyChangesTheEntriesOfItsListOnly) {
  SetKeys(TestKey("alpha", "role: 'admin' adapter: 'poet*'") + TestKey("beta", "role: 'admin'"));
  const auto registry = v1::RegistryService::NewStub(channel());
  const auto codes = [&](const std::string& key, const std::string& name, const std::string& part) {
    std::vector<grpc::StatusCode> found;
    const auto with_key = [&](auto call) {
      grpc::ClientContext context;
      UseKey(key, context);
      found.push_back(call(context).error_code());
    };
    v1::Entry entry;
    with_key([&](grpc::ClientContext& context) {
      v1::LoadStateRequest request;
      request.set_model("fake");
      request.set_name(name);
      return registry->LoadState(&context, request, &entry);
    });
    with_key([&](grpc::ClientContext& context) {
      v1::LoadAdapterRequest request;
      request.set_model("fake");
      request.set_name(name);
      return registry->LoadAdapter(&context, request, &entry);
    });
    with_key([&](grpc::ClientContext& context) {
      v1::DefineMixtureRequest request;
      request.set_model("fake");
      request.set_name(name);
      request.mutable_mix()->add_states()->set_name(part);
      request.mutable_mix()->add_states();  // zeros, which everybody may use
      return registry->DefineMixture(&context, request, &entry);
    });
    with_key([&](grpc::ClientContext& context) {
      v1::RemoveRequest request;
      request.set_model("fake");
      request.set_name(name);
      v1::RemoveResponse response;
      return registry->Remove(&context, request, &response);
    });
    return found;
  };
  constexpr auto kRefused = grpc::StatusCode::PERMISSION_DENIED;
  constexpr auto kPassedOn = grpc::StatusCode::UNIMPLEMENTED;  // to workers without a registry
  using Codes = std::vector<grpc::StatusCode>;
  EXPECT_EQ(codes("alpha", "poet-2", "poet"), Codes(4, kPassedOn));
  EXPECT_EQ(codes("alpha", "baker", "poet"), Codes(4, kRefused));
  EXPECT_EQ(codes("alpha", "", "poet"), Codes(4, kRefused));
  EXPECT_EQ(codes("alpha", "poet", "baker"), Codes({kPassedOn, kPassedOn, kRefused, kPassedOn}));
  EXPECT_EQ(codes("beta", "baker", "any"), Codes(4, kPassedOn));
}

TEST_F(GrpcAccessTest, RequestsPerMinuteAreLimited) {
  SetKeys(TestKey("alpha", "role: 'inference' requests_per_minute: 1"));
  EXPECT_TRUE(GenerateWith("alpha").status.ok());
  grpc::ClientContext context;
  UseKey("alpha", context);
  EXPECT_EQ(Generate(context).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto& metadata = context.GetServerInitialMetadata();
  const auto retry_after = metadata.find("retry-after");
  ASSERT_NE(retry_after, metadata.end());
  int seconds = 0;
  EXPECT_TRUE(absl::SimpleAtoi(std::string(retry_after->second.data(), retry_after->second.size()),
                               &seconds));
  EXPECT_GE(seconds, 1);
  EXPECT_LE(seconds, 60);
  EXPECT_EQ(metadata.find("x-ratelimit-limit-requests")->second, "1");
  EXPECT_EQ(metadata.find("x-ratelimit-remaining-requests")->second, "0");
}

TEST_F(GrpcAccessTest, ParallelCallsAreLimited) {
  SetKeys(TestKey("alpha", "role: 'inference' max_parallel: 1"));
  for (int i = 0; i < 20; ++i) {  // the next one may come as soon as the client knows of the end
    EXPECT_TRUE(GenerateWith("alpha").status.ok());
  }
  Script(Endless());
  grpc::ClientContext context;
  UseKey("alpha", context);
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(GenerateWith("alpha").status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  context.TryCancel();
}

TEST_F(GrpcAccessTest, TokensAreCountedAsTheyAreUsed) {
  // The three prompt tokens and three drawn ones that the fake worker reports, and not the guess.
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 100"));
  EXPECT_TRUE(GenerateWith("alpha").status.ok());
  grpc::ClientContext context;
  UseKey("alpha", context);
  v1::TokenizeRequest request;
  request.set_model("fake");
  v1::TokenizeResponse response;
  EXPECT_TRUE(inference().Tokenize(&context, request, &response).ok());
  EXPECT_EQ(context.GetServerInitialMetadata().find("x-ratelimit-remaining-tokens")->second, "94");
}

TEST_F(GrpcAccessTest, ScoredTokensAreCounted) {
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 1000"));
  EXPECT_TRUE(Score("alpha", 1000).ok());
  EXPECT_EQ(Score("alpha", 1000).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcAccessTest, TokensOfAScoreThatNobodyWaitedForAreCounted) {
  for (FakeWorker* worker : {&a_, &b_}) {
    worker->OnScore([](const v1::ScoreRequest&) {
      absl::SleepFor(absl::Milliseconds(500));
      return v1::ScoreResponse();
    });
  }
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 1000"));
  EXPECT_EQ(Score("alpha", 1000, absl::Milliseconds(200)).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Score("alpha", 1000).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(GrpcAccessTest, PromptsOfCallsThatWereGivenUpAreCounted) {
  FakeGeneration prefill = SayPieces({"late"});
  prefill.steps.resize(1);  // `started`, and no end
  prefill.delay_before_end = absl::InfiniteDuration();
  Script(prefill);
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 1000"));
  v1::GenerateRequest request = SomeRequest();
  request.mutable_prompt()->set_text(std::string(2400, 'x'));  // 600 tokens at a guess
  {
    grpc::ClientContext context;
    UseKey("alpha", context);
    context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Milliseconds(200)));
    EXPECT_EQ(Generate(context, request).status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
  EXPECT_TRUE(WaitForCalls(absl::Seconds(5)));
  grpc::ClientContext context;
  UseKey("alpha", context);
  EXPECT_EQ(Generate(context, request).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

// More tokens than a minute ever brings.
TEST_F(GrpcAccessTest, WhatNeverFitsIsNotAskedToComeAgain) {
  SetKeys(TestKey("alpha", "role: 'inference' tokens_per_minute: 10"));
  grpc::ClientContext context;
  UseKey("alpha", context);
  v1::GenerateRequest request = SomeRequest();
  request.mutable_stopping()->set_max_tokens(1000);
  EXPECT_EQ(Generate(context, request).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(context.GetServerInitialMetadata().count("retry-after"), 0u);
}

}  // namespace
}  // namespace skein
