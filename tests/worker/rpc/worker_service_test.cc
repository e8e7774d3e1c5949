#include "worker/rpc/worker_service.h"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "skein/v1/states.grpc.pb.h"
#include "tests/worker/rpc/test_worker.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(WorkerServiceTest, AReadyModelIsListed) {
  TestWorker worker({.loaded = false});
  v1::ListModelsResponse response;
  grpc::ClientContext before;
  ASSERT_TRUE(worker.worker().ListModels(&before, {}, &response).ok());
  EXPECT_EQ(response.models_size(), 0);
  worker.Load();
  grpc::ClientContext after;
  ASSERT_TRUE(worker.worker().ListModels(&after, {}, &response).ok());
  ASSERT_EQ(response.models_size(), 1);
  EXPECT_EQ(response.models(0).name(), "alphabet");
  EXPECT_EQ(response.models(0).architecture(), "hybrid");
  EXPECT_EQ(response.models(0).state_bytes_per_sequence(), 64u);
  EXPECT_EQ(response.models(0).max_sequences(), 8u);
  EXPECT_EQ(response.models(0).chat_format(), "chatml");
  EXPECT_EQ(response.models(0).fingerprint().substr(0, 17), "000000000000f00d-");
}

TEST(WorkerServiceTest, TokenizeAndDetokenizeAreInverse) {
  TestWorker worker;
  v1::TokenizeRequest text;
  text.mutable_prompt()->set_text("héllo");
  v1::TokenizeResponse tokens;
  grpc::ClientContext first;
  ASSERT_TRUE(worker.inference().Tokenize(&first, text, &tokens).ok());
  v1::DetokenizeRequest ids;
  for (int i = 1; i < tokens.tokens_size(); ++i) ids.add_ids(tokens.tokens(i).id());
  v1::DetokenizeResponse back;
  grpc::ClientContext second;
  ASSERT_TRUE(worker.inference().Detokenize(&second, ids, &back).ok());
  EXPECT_EQ(back.text(), "héllo");
  text.set_model("other");
  grpc::ClientContext third;
  EXPECT_EQ(worker.inference().Tokenize(&third, text, &tokens).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(WorkerServiceTest, WatchersGetHeartbeatsIfTheyWantThem) {
  TestWorker worker;
  v1::WatchLoadRequest request;
  request.set_heartbeat_ms(50);
  v1::WorkerLoad load;
  for (int messages : {0, 1, 4}) {  // left before, after and between heartbeats
    grpc::ClientContext context;
    const auto watch = worker.worker().WatchLoad(&context, request);
    for (int i = 0; i < messages; ++i) {
      ASSERT_TRUE(watch->Read(&load));
      EXPECT_THAT(load.ready_models(), ElementsAre("alphabet"));
      EXPECT_EQ(load.heartbeat_ms(), 50u);
    }
    context.TryCancel();
    EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
}

TEST(WorkerServiceTest, WatchersHearTheLoadAtOnceAndAfterEachChange) {
  TestWorker worker({.loaded = false});
  grpc::ClientContext context;
  const auto watch = worker.worker().WatchLoad(&context, {});
  v1::WorkerLoad load;
  ASSERT_TRUE(watch->Read(&load));
  EXPECT_EQ(load.ready_models_size(), 0);
  worker.Load();
  while (watch->Read(&load) && load.ready_models().empty()) {
  }
  EXPECT_THAT(load.ready_models(), ElementsAre("alphabet"));
  EXPECT_EQ(load.free_state_slots(), 8u);

  worker.pace().Close();
  std::thread caller([&] { Collect(worker.inference(), GreedyRequest("abc", 2)); });
  while (watch->Read(&load) && load.running() == 0) {
  }
  EXPECT_EQ(load.running(), 1u);
  EXPECT_EQ(load.free_state_slots(), 7u);
  worker.pace().Open();
  while (watch->Read(&load) && load.running() != 0) {
  }
  EXPECT_EQ(load.free_state_slots(), 8u);
  caller.join();

  worker.host().Drain();
  while (watch->Read(&load) && !load.draining()) {
  }
  EXPECT_TRUE(load.draining());
  EXPECT_EQ(load.ready_models_size(), 0);
  context.TryCancel();
  while (watch->Read(&load)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(WorkerServiceTest, AWatcherThatDoesNotReadHoldsUpNobody) {
  TestWorker worker;
  grpc::ClientContext context;
  const auto watch = worker.worker().WatchLoad(&context, {});
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(Collect(worker.inference(), GreedyRequest("abc", 20)).status.ok());
  }
  context.TryCancel();
  watch->Finish();
}

TEST(WorkerServiceTest, StoppingTheServerEndsWatchers) {
  TestWorker worker;
  grpc::ClientContext context;
  const auto watch = worker.worker().WatchLoad(&context, {});
  v1::WorkerLoad load;
  ASSERT_TRUE(watch->Read(&load));
  worker.server().Stop(absl::Milliseconds(20));
  while (watch->Read(&load)) {
  }
  EXPECT_FALSE(watch->Finish().ok());
}

TEST(WorkerServiceTest, DrainLetsRunningRequestsFinishAndRefusesNewOnes) {
  TestWorker worker;
  worker.pace().SetStepTime(absl::Milliseconds(1));
  Collected running;
  std::thread caller([&] { running = Collect(worker.inference(), GreedyRequest("abc", 300)); });
  ASSERT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 1; }));
  grpc::Status drained;
  std::thread drainer([&] {
    grpc::ClientContext context;
    v1::DrainResponse response;
    drained = worker.worker().Drain(&context, {}, &response);
  });
  while (worker.host().status().state == ModelState::kReady) {
    absl::SleepFor(absl::Milliseconds(1));
  }
  const Collected refused = Collect(worker.inference(), GreedyRequest("abc", 1));
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  drainer.join();
  caller.join();
  EXPECT_TRUE(drained.ok()) << drained.error_message();
  EXPECT_TRUE(running.status.ok()) << running.status.error_message();
  EXPECT_EQ(running.Text(), Alphabet("abc", 300));
  EXPECT_EQ(worker.host().status().state, ModelState::kGone);
  const Collected gone = Collect(worker.inference(), GreedyRequest("abc", 1));
  EXPECT_EQ(gone.status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(WorkerServiceTest, DrainingTwiceIsFine) {
  TestWorker worker;
  for (int i = 0; i < 2; ++i) {
    grpc::ClientContext context;
    v1::DrainResponse response;
    EXPECT_TRUE(worker.worker().Drain(&context, {}, &response).ok());
  }
}

TEST(WorkerServiceTest, ACallerOfDrainMayLeave) {
  TestWorker worker;
  worker.pace().Close();
  std::thread caller([&] { Collect(worker.inference(), GreedyRequest("abc", 2)); });
  ASSERT_TRUE(worker.WaitForLoad([](const LoadSnapshot& load) { return load.running == 1; }));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::DrainResponse response;
  EXPECT_EQ(worker.worker().Drain(&context, {}, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  worker.pace().Open();
  caller.join();
  EXPECT_TRUE(worker.host().WaitGone(absl::Seconds(5)));
}

TEST(WorkerServiceTest, WhatIsNotThereIsUnimplementedWithAReason) {
  TestWorker worker;
  const auto channel = worker.NewChannel();
  const auto states = v1::StateService::NewStub(channel);
  std::vector<grpc::Status> statuses;
  const auto unary = [&](auto* stub, auto method, const auto& request, auto response) {
    grpc::ClientContext context;
    statuses.push_back((stub->*method)(&context, request, &response));
  };
  using States = v1::StateService::Stub;
  unary(states.get(), &States::Fork, v1::ForkStateRequest(), v1::StateInfo());
  unary(states.get(), &States::Drop, v1::StateRef(), v1::DropStateResponse());
  unary(states.get(), &States::List, v1::ListStatesRequest(), v1::ListStatesResponse());
  grpc::ClientContext exporting;
  statuses.push_back(states->Export(&exporting, {})->Finish());
  grpc::ClientContext importing;
  v1::StateInfo info;
  statuses.push_back(states->Import(&importing, &info)->Finish());
  for (const grpc::Status& status : statuses) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_FALSE(status.error_message().empty());
  }
  EXPECT_EQ(statuses.size(), 5u);
}

}  // namespace
}  // namespace skein
