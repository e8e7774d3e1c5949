#include "gateway/grpc/grpc_server.h"

#include <thread>

#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"

#include "tests/gateway/grpc/front_fixture.h"
#include "tests/testing/reflection_status.h"

namespace skein {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

class GrpcServerTest : public FrontTest {
 protected:
  // SERVING, NOT_SERVING or, where the call fails, UNKNOWN.
  HealthCheckResponse::ServingStatus Check(const std::string& service) {
    HealthCheckRequest request;
    request.set_service(service);
    HealthCheckResponse response;
    grpc::ClientContext context;
    const auto health = Health::NewStub(channel());
    if (!health->Check(&context, request, &response).ok()) return HealthCheckResponse::UNKNOWN;
    return response.status();
  }
  bool BecomesServing(const std::string& service, bool serving) {
    return Eventually([&] {
      return Check(service) ==
             (serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
    });
  }
  double Requests(const std::string& route, int status) {
    return metrics_registry_
        .AddCounter("skein_gateway_requests_total", "Answered requests by route and status.",
                    {{"route", route}, {"status", std::to_string(status)}})
        .Value();
  }
};

TEST_F(GrpcServerTest, HealthFollowsTheWorkers) {
  for (const char* service : {"", "fake", "liveness"}) {
    EXPECT_EQ(Check(service), HealthCheckResponse::SERVING) << service;
  }
  EXPECT_EQ(Check("other"), HealthCheckResponse::UNKNOWN);
  a_.SetDraining(true);
  b_.SetDraining(true);
  EXPECT_TRUE(BecomesServing("", false));
  EXPECT_TRUE(BecomesServing("fake", false));
  EXPECT_EQ(Check("liveness"), HealthCheckResponse::SERVING);
  a_.SetDraining(false);
  EXPECT_TRUE(BecomesServing("fake", true));
}

TEST_F(GrpcServerTest, DrainingRefusesNewCalls) {
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  server().Drain();
  EXPECT_TRUE(BecomesServing("", false));
  const Received refused = Generate();
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("shutting down"));
  EXPECT_TRUE(reader->Read(&message));  // goes on
  context.TryCancel();
}

TEST_F(GrpcServerTest, StopLetsRunningCallsFinish) {
  Script(SayPieces({"a", "b", "c", "d", "e"}, absl::Milliseconds(100)));
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  bool all_ended = false;
  std::thread stop([&] { all_ended = server().Stop(absl::Seconds(10)); });
  std::string text = message.text();
  while (reader->Read(&message)) text += message.text();
  EXPECT_EQ(text, "abcde");
  EXPECT_TRUE(reader->Finish().ok());
  stop.join();
  EXPECT_TRUE(all_ended);
}

TEST_F(GrpcServerTest, ThePortSpeaksWhileCallsFinish) {
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  bool all_ended = false;
  std::thread stop([&] { all_ended = server().Stop(absl::Seconds(10)); });
  EXPECT_TRUE(BecomesServing("", false));
  EXPECT_THAT(Generate().status.error_message(), HasSubstr("shutting down"));
  context.TryCancel();
  stop.join();
  EXPECT_TRUE(all_ended);
}

TEST_F(GrpcServerTest, StopDoesNotWaitForWatchersOfHealth) {
  const auto health = Health::NewStub(channel());
  grpc::ClientContext context;
  const auto reader = health->Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  const absl::Time begin = absl::Now();
  EXPECT_TRUE(server().Stop(absl::Seconds(10)));
  EXPECT_LT(absl::Now() - begin, absl::Seconds(2));
}

TEST_F(GrpcServerTest, StopCutsWhatRunsOn) {
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_FALSE(server().Stop(absl::Milliseconds(200)));
  while (reader->Read(&message)) {
  }
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_TRUE(Eventually([this] { return num_running() == 0; }));
}

// Calls without a key, too.
TEST_F(GrpcServerTest, CallsOfOneConnectionAreLimited) {
  constexpr size_t kCalls = 1030;
  const auto health = Health::NewStub(channel());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientAsyncReader<HealthCheckResponse>>> watches;
  grpc::CompletionQueue queue;
  for (size_t i = 0; i < kCalls; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    watches.push_back(health->AsyncWatch(contexts[i].get(), {}, &queue, nullptr));
  }
  void* tag = nullptr;
  bool ok = false;
  size_t num_begun = 0;
  const auto begins = [&](absl::Duration time) {
    return queue.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + time)) ==
           grpc::CompletionQueue::GOT_EVENT;
  };
  while (num_begun < 1024 && begins(absl::Seconds(10))) ++num_begun;
  EXPECT_EQ(num_begun, 1024u);
  EXPECT_FALSE(begins(absl::Milliseconds(300)));
  for (const auto& context : contexts) context->TryCancel();
  while (num_begun < kCalls && begins(absl::Seconds(10))) ++num_begun;
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
}

TEST_F(GrpcServerTest, CallsAreLimited) {
  config().mutable_limits()->set_max_connections(1);
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  const Received refused = Generate();
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(refused.status.error_message(), HasSubstr("too many open calls"));
  context.TryCancel();
  reader->Finish();
  Script(SayPieces({"x"}));
  EXPECT_TRUE(Eventually([this] { return Generate().status.ok(); }));
}

TEST_F(GrpcServerTest, RequestsAreAsLargeAsOverHttp) {
  config().mutable_limits()->set_max_body_bytes(1 << 20);
  v1::GenerateRequest request = SomeRequest();
  request.mutable_prompt()->set_text(std::string(1 << 20, 'a'));
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  request.mutable_prompt()->set_text(std::string((1 << 20) - 100, 'a'));
  EXPECT_TRUE(Generate(request).status.ok());
}

TEST_F(GrpcServerTest, CallsAreCounted) {
  const std::string route = "/skein.v1.InferenceService/Generate";
  EXPECT_TRUE(Generate().status.ok());
  EXPECT_TRUE(Eventually([&] { return Requests(route, 200) == 1; }));
  v1::GenerateRequest unknown = SomeRequest();
  unknown.set_model("other");
  EXPECT_FALSE(Generate(unknown).status.ok());
  EXPECT_TRUE(Eventually([&] { return Requests(route, 404) == 1; }));
  Script(Endless());
  grpc::ClientContext context;
  const auto reader = inference().Generate(&context, SomeRequest());
  v1::GenerateResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  EXPECT_TRUE(Eventually([&] { return Requests(route, 499) == 1; }));
}

TEST_F(GrpcServerTest, ReflectionIsOff) {
  EXPECT_EQ(ReflectionStatus(channel()), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcServerTest, ReflectionIsThereOnRequest) {
  config().set_grpc_reflection(true);
  EXPECT_EQ(ReflectionStatus(channel()), grpc::StatusCode::OK);
}

TEST_F(GrpcServerTest, AnAddressInUseIsAnError) {
  config().set_grpc_listen(server().address());
  const absl::Status status = GrpcServer::Start(context_).status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot listen on 127.0.0.1:"));
}

}  // namespace
}  // namespace skein
