#include "worker/rpc/rpc_server.h"

#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"

#include "tests/testing/reflection_status.h"
#include "tests/worker/rpc/test_worker.h"
#include "worker/rpc/health_check.h"
#include "worker/rpc/watchdog.h"

namespace skein {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

// SERVING, NOT_SERVING or, where the call fails, UNKNOWN.
HealthCheckResponse::ServingStatus Check(Health::Stub& health, const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  grpc::ClientContext context;
  if (!health.Check(&context, request, &response).ok()) return HealthCheckResponse::UNKNOWN;
  return response.status();
}

TEST(RpcServerTest, HealthFollowsTheModel) {
  TestWorker worker({.loaded = false});
  const auto health = Health::NewStub(worker.NewChannel());
  for (const char* service : {"", "alphabet"}) {
    EXPECT_EQ(Check(*health, service), HealthCheckResponse::NOT_SERVING);
  }
  worker.Load();
  for (const char* service : {"", "alphabet"}) {
    EXPECT_EQ(Check(*health, service), HealthCheckResponse::SERVING);
  }
  EXPECT_EQ(Check(*health, "other"), HealthCheckResponse::UNKNOWN);
  worker.host().Drain();
  for (const char* service : {"", "alphabet"}) {
    EXPECT_EQ(Check(*health, service), HealthCheckResponse::NOT_SERVING);
  }
}

TEST(RpcServerTest, StartupReadinessAndLivenessAreThreeQuestions) {
  TestWorker worker({.loaded = false});
  const auto health = Health::NewStub(worker.NewChannel());
  EXPECT_EQ(Check(*health, "liveness"), HealthCheckResponse::SERVING);
  EXPECT_EQ(Check(*health, "startup"), HealthCheckResponse::NOT_SERVING);
  worker.Load();
  EXPECT_EQ(Check(*health, "startup"), HealthCheckResponse::SERVING);
  worker.host().Drain();
  EXPECT_EQ(Check(*health, ""), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check(*health, "startup"), HealthCheckResponse::SERVING);
  EXPECT_EQ(Check(*health, "liveness"), HealthCheckResponse::SERVING);
}

TEST(RpcServerTest, LivenessEndsWhileAStepDoesNotComeBack) {
  TestWorker worker;
  const auto health = Health::NewStub(worker.NewChannel());
  Watchdog watchdog(worker.host(), absl::Milliseconds(200),
                    [&](bool alive) { worker.server().SetAlive(alive); });
  const auto poll_until = [&](HealthCheckResponse::ServingStatus wanted) {
    for (int i = 0; i < 3000; ++i) {
      watchdog.Poll();
      if (Check(*health, "liveness") == wanted) return true;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return false;
  };
  absl::SleepFor(absl::Milliseconds(300));  // idle for longer than a step may take
  watchdog.Poll();
  EXPECT_EQ(Check(*health, "liveness"), HealthCheckResponse::SERVING);
  worker.pace().Close();
  Collected got;
  std::thread caller([&] { got = Collect(worker.inference(), GreedyRequest("abc", 3)); });
  EXPECT_TRUE(poll_until(HealthCheckResponse::NOT_SERVING));
  worker.pace().Open();
  EXPECT_TRUE(poll_until(HealthCheckResponse::SERVING));
  caller.join();
  EXPECT_TRUE(got.status.ok()) << got.status.error_message();
}

TEST(RpcServerTest, AHealthCheckSaysWhatItFound) {
  TestWorker worker({.loaded = false});
  const std::string& address = worker.server().address();
  const absl::Status loading = CheckHealth(address, {}, absl::Seconds(10));
  EXPECT_EQ(loading.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(loading.message()), HasSubstr("is NOT_SERVING, expected SERVING"));
  worker.Load();
  EXPECT_TRUE(CheckHealth(address, {}, absl::Seconds(10)).ok());
  EXPECT_TRUE(CheckHealth(address + "/alphabet", {}, absl::Seconds(10)).ok());
  EXPECT_THAT(std::string(CheckHealth(address + "/other", {}, absl::Seconds(10)).message()),
              HasSubstr("no answer from "));
  EXPECT_EQ(CheckHealth("127.0.0.1:1", {}, absl::Seconds(10)).code(),
            absl::StatusCode::kUnavailable);
  EXPECT_EQ(CheckHealth("nowhere", {}, absl::Seconds(10)).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RpcServerTest, AListenerForHealthChecksAnswersNothingElse) {
  TestWorker worker({.loaded = false, .health_listener = true});
  const std::string& address = worker.server().health_address();
  ASSERT_NE(address, worker.server().address());
  EXPECT_TRUE(CheckHealth(address + "/liveness", {}, absl::Seconds(10)).ok());
  EXPECT_FALSE(CheckHealth(address + "/startup", {}, absl::Seconds(10)).ok());
  EXPECT_FALSE(CheckHealth(address, {}, absl::Seconds(10)).ok());
  worker.Load();
  for (const char* service : {"", "/alphabet", "/startup"}) {
    EXPECT_TRUE(CheckHealth(address + service, {}, absl::Seconds(10)).ok()) << service;
  }
  worker.server().SetAlive(false);
  EXPECT_FALSE(CheckHealth(address + "/liveness", {}, absl::Seconds(10)).ok());
  const auto models =
      v1::WorkerService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::ListModelsResponse response;
  EXPECT_EQ(models->ListModels(&context, {}, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST(RpcServerTest, WithoutAHealthListenerThereIsNoAddress) {
  TestWorker worker;
  EXPECT_EQ(worker.server().health_address(), "");
}

TEST(RpcServerTest, ReflectionIsThereOnRequest) {
  {
    TestWorker worker;
    EXPECT_EQ(ReflectionStatus(worker.NewChannel()), grpc::StatusCode::UNIMPLEMENTED);
  }
  TestWorker worker({.reflection = true});
  EXPECT_EQ(ReflectionStatus(worker.NewChannel()), grpc::StatusCode::OK);
}

TEST(RpcServerTest, AnAddressInUseIsAnError) {
  TestWorker worker;
  ModelHost other(ModelHost::Options{});
  const auto keeper = *RegistryKeeper::Create({});
  const absl::Status status =
      RpcServer::Start(other, *keeper, {worker.server().address(), false}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cannot listen on 127.0.0.1:"));
}

TEST(RpcServerTest, ABadAddressIsAnError) {
  ModelHost host(ModelHost::Options{});
  const auto keeper = *RegistryKeeper::Create({});
  EXPECT_EQ(RpcServer::Start(host, *keeper, {"nowhere", false}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(RpcServerTest, ARequestOfMoreThanSixteenMegabytesIsRefused) {
  TestWorker worker;
  const Collected got =
      Collect(worker.inference(), GreedyRequest(std::string((16 << 20) + 1, 'a'), 1));
  EXPECT_EQ(got.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 1)).status.ok());
}

}  // namespace
}  // namespace skein
