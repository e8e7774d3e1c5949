// Which workers the routing table leaves out for what their calls and loads show.
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/routing/routing_table_fixture.h"

namespace skein {
namespace {

using ::testing::HasSubstr;

TEST_F(RoutingTableTest, LeavesOutAWorkerThatKeepsFailingUntilAProbeSucceeds) {
  Begin({kM, kM});
  CallOn("a", absl::InternalError("broken"), 2);
  EXPECT_EQ(Count(WorkerState::kEjected), 1);
  EXPECT_EQ(Picks({.model = "m"}, 20).count("a"), 0u);

  clock_.Set(absl::Hours(1));  // no time has passed
  EXPECT_EQ(Picks({.model = "m"}, 20).count("a"), 0u);
  clock_.Set(-absl::Hours(2));
  clock_.Advance(absl::Seconds(5));
  const PickedWorker probe = MustPick({.model = "m"});
  EXPECT_EQ(probe.address, "a");
  EXPECT_EQ(Picks({.model = "m"}, 20).count("a"), 0u);  // one at a time
  const absl::Status lost = absl::UnavailableError("lost");
  table_->End(probe.call, &lost);
  clock_.Advance(absl::Seconds(9));
  EXPECT_EQ(Picks({.model = "m"}, 5).count("a"), 0u);  // 10 s this time

  clock_.Advance(absl::Seconds(1));
  const PickedWorker second = MustPick({.model = "m"});
  EXPECT_EQ(second.address, "a");
  table_->Answered(second.call);
  EXPECT_EQ(Count(WorkerState::kReady), 2);
  EXPECT_GE(Picks({.model = "m"}, 20).count("a"), 5u);
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(ejections_total{reason="failures"} 1)"));
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(ejections_total{reason="probe"} 1)"));
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(picks_total{choice="probe"} 2)"));
}

TEST_F(RoutingTableTest, AProbeWithoutAVerdictIsRepeated) {
  Begin({kM, kM});
  CallOn("a", absl::InternalError("broken"), 2);
  clock_.Advance(absl::Seconds(5));
  for (int i = 0; i < 2; ++i) {
    const PickedWorker probe = MustPick({.model = "m"});
    EXPECT_EQ(probe.address, "a");
    const absl::Status left = absl::CancelledError("the client left");
    table_->End(probe.call, i == 0 ? nullptr : &left);
  }
}

TEST_F(RoutingTableTest, OutcomesThatAreNotTheWorkersFaultDoNotCount) {
  for (const absl::Status& outcome :
       {absl::OkStatus(), absl::InvalidArgumentError("x"), absl::CancelledError("x"),
        absl::DeadlineExceededError("x"), absl::ResourceExhaustedError("x"),
        absl::DataLossError("x")}) {
    Begin({kM, kM});
    CallOn("a", outcome, 10);
    EXPECT_EQ(Count(WorkerState::kEjected), 0) << outcome;
  }
}

TEST_F(RoutingTableTest, CallsWithoutStepsDoNotShowThatAWorkerIsWell) {
  Begin({kM, kM});
  const PickRequest tokenize = {.model = "m", .avoid = {"b"}, .sequences = 0};
  const absl::Status ok;
  for (int i = 0; i < 2; ++i) {
    CallOn("a", absl::InternalError("broken"), 1);
    const PickedWorker picked = MustPick(tokenize);
    table_->Answered(picked.call);
    table_->End(picked.call, &ok);
  }
  EXPECT_EQ(Count(WorkerState::kEjected), 1);
  clock_.Advance(absl::Seconds(5));
  EXPECT_EQ(MustPick({.model = "m", .sequences = 0}).address, "b");
  EXPECT_EQ(MustPick({.model = "m"}).address, "a");
}

TEST_F(RoutingTableTest, AWorkerThatDrainsOrIsLostIsNotEjectedToo) {
  const absl::Status gone = absl::UnavailableError("gone");
  for (const bool draining : {true, false}) {
    Begin({kM, kM});
    std::vector<PickedWorker> calls;
    for (int i = 0; i < 5; ++i) calls.push_back(MustPick({.model = "m", .avoid = {"b"}}));
    if (draining) {
      table_->SetLoad(ids_[0], Load({"m"}, true));
    } else {
      table_->SetDown(ids_[0]);
    }
    for (const PickedWorker& call : calls) table_->End(call.call, &gone);
    table_->SetLoad(ids_[0], Load({"m"}));
    EXPECT_EQ(Count(WorkerState::kReady), 2);
  }
}

TEST_F(RoutingTableTest, LeavesOutAWorkerWhoseStepDoesNotEnd) {
  Begin({kM, kM});
  v1::WorkerLoad load = Load({"m"});
  load.set_stalled_ms(4999);
  table_->SetLoad(ids_[0], load);
  EXPECT_EQ(Count(WorkerState::kReady), 2);
  load.set_stalled_ms(5000);
  EXPECT_TRUE(table_->SetLoad(ids_[0], load));
  load.set_stalled_ms(6000);
  table_->SetLoad(ids_[0], load);
  EXPECT_EQ(Count(WorkerState::kEjected), 1);
  EXPECT_EQ(Picks({.model = "m"}, 5).count("b"), 5u);
  EXPECT_TRUE(table_->Pick({.model = "m", .avoid = {"b"}}).ok());  // better than none
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(ejections_total{reason="stall"} 1)"));
  EXPECT_TRUE(table_->SetLoad(ids_[0], Load({"m"})));
  EXPECT_EQ(Count(WorkerState::kReady), 2);
}

TEST_F(RoutingTableTest, IfAllAreEjectedAllAreUsed) {
  Begin({kM, kM});
  CallOn("a", absl::InternalError("broken"), 2);
  CallOn("b", absl::InternalError("broken"), 2);
  EXPECT_EQ(Count(WorkerState::kEjected), 2);
  EXPECT_EQ(table_->NumReady(), 2);
  const std::multiset<std::string> picks = Picks({.model = "m"}, 20);
  EXPECT_GE(picks.count("a"), 5u);
  EXPECT_GE(picks.count("b"), 5u);
  CallOn("b", absl::OkStatus());  // and comes back by what it does
  EXPECT_EQ(Picks({.model = "m"}, 10).count("b"), 10u);
}

}  // namespace
}  // namespace skein
