#include "gateway/routing/routing_table.h"

#include <atomic>
#include <set>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/gateway/routing/routing_table_fixture.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

TEST_F(RoutingTableTest, PicksOneOfThoseThatServeOrSaysWhyNone) {
  using Code = absl::StatusCode;
  struct Case {
    const char* name;
    std::vector<WorkerLook> workers;
    const char* model;
    Code code;
    const char* picked_or_message;  // the workers that take some of 30 calls
  };
  for (const Case& c : {
           Case{"all serve", {kM, kM, kM}, "m", Code::kOk, "abc"},
           Case{"one draining", {kM, kDrainingM, kM}, "m", Code::kOk, "ac"},
           Case{"one down", {kWasM, kM, kDown}, "m", Code::kOk, "b"},
           Case{"one loading", {kLoading, kLoading, kM}, "m", Code::kOk, "c"},
           Case{"load without list", {kUnlisted, kM}, "m", Code::kOk, "b"},
           Case{"several models", {kBoth, kOther, kM}, "m", Code::kOk, "ac"},
           Case{"no name, one model", {kM, kM}, "", Code::kOk, "ab"},
           Case{"no name, two models", {kM, kOther}, "", Code::kInvalidArgument, "one of the 2"},
           Case{"no name, none connected", {kDown}, "", Code::kUnavailable, "no worker"},
           Case{"no name, loading", {kLoading}, "", Code::kUnavailable, "no model is ready"},
           Case{"no name, draining", {kDrainingM}, "", Code::kUnavailable, "draining"},
           Case{"none connected", {kDown, kWasM}, "m", Code::kUnavailable, "no worker"},
           Case{"all draining", {kDrainingM, kOther}, "m", Code::kUnavailable, "draining"},
           Case{"its worker is down", {kWasM, kOther}, "m", Code::kUnavailable, "not connected"},
           Case{"maybe being loaded", {kLoading, kOther}, "m", Code::kUnavailable, "loading"},
           Case{"unknown", {kM, kOther}, "what", Code::kNotFound, "model: \"what\""},
       }) {
    SCOPED_TRACE(c.name);
    Begin(c.workers);
    const absl::StatusOr<PickedWorker> pick = table_->Pick({.model = c.model});
    ASSERT_EQ(pick.status().code(), c.code) << pick.status();
    if (c.code != Code::kOk) {
      EXPECT_THAT(std::string(pick.status().message()), HasSubstr(c.picked_or_message));
      continue;
    }
    const std::multiset<std::string> picks = Picks({.model = c.model}, 29);
    std::string addresses = pick->address;
    for (const std::string& address : picks) addresses += address;
    const std::set<char> taken(addresses.begin(), addresses.end());
    EXPECT_EQ(std::string(taken.begin(), taken.end()), c.picked_or_message);
  }
}

TEST_F(RoutingTableTest, OneKeyStaysOnOneWorkerUntilItHasItsShare) {
  Begin({kM, kM, kM});
  const std::string home = MustPick({.model = "m", .affinity_key = "k"}).address;
  for (int i = 0; i < 30; ++i) {
    const PickedWorker picked = MustPick({.model = "m", .affinity_key = "other"});
    table_->End(picked.call, nullptr);
  }
  const std::multiset<std::string> picks = Picks({.model = "m", .affinity_key = "k"}, 119);
  EXPECT_EQ(picks.count(home) + 1, 50u);  // ceil(1.25 * 120 / 3)
}

TEST_F(RoutingTableTest, CountsWhatWorkersReportAndWhatWasSentAndEndedSince) {
  Begin({kM, kM});
  table_->SetLoad(ids_[0], Load({"m"}, false, 10));  // sent by another gateway
  EXPECT_EQ(Picks({.model = "m"}, 9).count("b"), 9u);
  // Both tell of all they have: nothing counts twice.
  table_->SetLoad(ids_[0], Load({"m"}, false, 10));
  table_->SetLoad(ids_[1], Load({"m"}, false, 9));
  const PickedWorker picked = MustPick({.model = "m"});
  EXPECT_EQ(picked.address, "b");
  // What has ended counts no more, though b has not said so yet.
  table_->End(picked.call, nullptr);
  EXPECT_EQ(MustPick({.model = "m"}).address, "b");
  EXPECT_EQ(Picks({.model = "m"}, 10).count("b"), 5u);
}

TEST_F(RoutingTableTest, WorkersWithMoreSlotsTakeMore) {
  Begin({kM, kM});
  table_->SetModels(ids_[0], ModelList({"m"}, 192));
  const std::multiset<std::string> picks = Picks({.model = "m"}, 120);
  EXPECT_NEAR(static_cast<double>(picks.count("a")), 90, 6);
}

TEST_F(RoutingTableTest, PrefersWorkersThatHoldWhatARequestNames) {
  Begin({kM, kM, kM});
  v1::WorkerLoad load = Load({"m"});
  load.add_resident("style");
  table_->SetLoad(ids_[2], load);
  for (int i = 0; i < 10; ++i) {
    const PickedWorker picked =
        MustPick({.model = "m", .affinity_key = std::to_string(i), .entries = {"style"}});
    EXPECT_EQ(picked.address, "c");
    table_->End(picked.call, nullptr);
  }
}

TEST_F(RoutingTableTest, PassesOverWhomTheRequestAvoidsOrWhoIsFull) {
  Begin({kM, kM});
  EXPECT_EQ(Picks({.model = "m", .avoid = {"a"}}, 5).count("b"), 5u);
  table_->SetLoad(ids_[1], Load({"m"}, false, 64));
  EXPECT_EQ(Picks({.model = "m", .needs_free_slot = true}, 5).count("a"), 5u);
  EXPECT_TRUE(absl::IsUnavailable(
      table_->Pick({.model = "m", .avoid = {"a"}, .needs_free_slot = true}).status()));
  table_->SetDown(ids_[1]);
  EXPECT_TRUE(absl::IsUnavailable(table_->Pick({.model = "m", .avoid = {"a"}}).status()));
}

TEST_F(RoutingTableTest, AllWorkersOfAModelAreListedWithoutChoosing) {
  Begin({kM, kM, kDrainingM});
  CallOn("a", absl::InternalError("broken"), 2);
  clock_.Advance(absl::Seconds(5));  // a probe is due, and not this
  const std::string before = registry_.Text();
  const auto all = table_->PickAll("m");
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ(all->at(0).address, "a");
  EXPECT_EQ(all->at(1).address, "b");
  EXPECT_EQ(registry_.Text(), before);
  for (const PickedWorker& picked : *all) table_->End(picked.call, nullptr);
  EXPECT_EQ(MustPick({.model = "m"}).address, "a");  // the probe
  EXPECT_EQ(table_->PickAll("")->size(), 2u);        // the only model
  EXPECT_TRUE(absl::IsNotFound(table_->PickAll("other").status()));
}

TEST_F(RoutingTableTest, RequestsGoToWorkersThatHaveWhatTheyName) {
  Begin({kM, kM, kM});
  const PickRequest any = {.model = "m"};
  const PickRequest pirate = {.model = "m", .entries = {"pirate"}};
  const auto list = [&](size_t worker, const std::vector<std::string>& names) {
    v1::ListResponse response;
    for (const std::string& name : names) response.add_entries()->set_name(name);
    table_->entries().BeginList(ids_[worker], "m");
    table_->entries().SetList(ids_[worker], "m", response);
  };
  EXPECT_EQ(Picks(pirate, 30).size(), 30u);  // nothing is listed: any of them may have it
  list(0, {});
  EXPECT_EQ(Picks(pirate, 30).count("a"), 0u);
  list(1, {"pirate"});
  EXPECT_THAT(Picks(pirate, 10), ::testing::Each("b"));
  EXPECT_GT(Picks(any, 90).count("c"), 0u);
  list(2, {"sailor"});
  EXPECT_TRUE(absl::IsUnavailable(
      table_->Pick({.model = "m", .entries = {"pirate"}, .avoid = {"b"}}).status()));
  EXPECT_TRUE(
      absl::IsUnavailable(table_->Pick({.model = "m", .entries = {"pirate", "sailor"}}).status()));
  const absl::Status unknown = table_->Pick({.model = "m", .entries = {"pirat"}}).status();
  EXPECT_TRUE(absl::IsNotFound(unknown));
  EXPECT_THAT(std::string(unknown.message()), HasSubstr("no state, mixture or adapter \"pirat\""));
  // The one that has it is away, which does not make it unknown.
  table_->SetDown(ids_[1]);
  EXPECT_TRUE(absl::IsUnavailable(table_->Pick(pirate).status()));
  table_->Remove(ids_[1]);
  EXPECT_TRUE(absl::IsNotFound(table_->Pick(pirate).status()));
}

TEST_F(RoutingTableTest, ListsReadyModelsOnceByName) {
  Begin({kOther, kM, kBoth});
  std::vector<std::string> names;
  for (const v1::ModelInfo& model : table_->Models()) names.push_back(model.name());
  EXPECT_THAT(names, ElementsAre("m", "other"));
  EXPECT_EQ(table_->NumReady(), 3);
  EXPECT_TRUE(table_->SetDown(ids_[0]));
  EXPECT_TRUE(table_->SetLoad(ids_[2], Load({"m", "other"}, /*draining=*/true)));
  EXPECT_FALSE(table_->SetLoad(ids_[2], Load({"m", "other"}, /*draining=*/true)));
  EXPECT_EQ(table_->Models().size(), 1u);
  EXPECT_EQ(table_->NumReady(), 1);
}

TEST_F(RoutingTableTest, CountsReadyWorkersByModelAlsoOfThoseThatAreNot) {
  Begin({kOther, kM, kBoth, kDown});
  EXPECT_THAT(table_->NumReadyByModel(), ElementsAre(Pair("m", 2), Pair("other", 2)));
  table_->SetDown(ids_[0]);
  table_->SetLoad(ids_[2], Load({"m", "other"}, /*draining=*/true));
  EXPECT_THAT(table_->NumReadyByModel(), ElementsAre(Pair("m", 1), Pair("other", 0)));
  table_->SetModels(ids_[2], ModelList({"m"}));  // started anew, for one model
  table_->Remove(ids_[0]);
  EXPECT_THAT(table_->NumReadyByModel(), ElementsAre(Pair("m", 1)));
}

TEST_F(RoutingTableTest, CountsWorkersByState) {
  Begin({kM, kM, kDrainingM, kLoading, kDown});
  CallOn("a", absl::InternalError("broken"), 2);
  for (const WorkerState state : kWorkerStates) {
    EXPECT_EQ(Count(state), 1) << WorkerStateName(state);
  }
}

TEST_F(RoutingTableTest, AWorkerComesBackAfterItWasDown) {
  Begin({kM});
  table_->SetDown(ids_[0]);
  EXPECT_FALSE(table_->Pick({.model = "m"}).ok());
  table_->SetLoad(ids_[0], Load({"m"}));
  EXPECT_TRUE(table_->Pick({.model = "m"}).ok());
}

TEST_F(RoutingTableTest, CallsOfARemovedWorkerEndWithoutATrace) {
  Begin({kM, kM});
  const PickedWorker on_a = MustPick({.model = "m", .avoid = {"b"}});
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(in_flight{worker="a"} 1)"));
  table_->Remove(ids_[0]);
  EXPECT_THAT(registry_.Text(), Not(HasSubstr(R"(worker="a")")));
  EXPECT_EQ(Picks({.model = "m"}, 3).count("b"), 3u);
  // It comes back under its old address: the old call is not its own.
  const uint64_t again = table_->Add("a");
  table_->SetModels(again, ModelList({"m"}));
  table_->SetLoad(again, Load({"m"}));
  const absl::Status lost = absl::UnavailableError("lost");
  table_->Answered(on_a.call);
  table_->End(on_a.call, &lost);
  table_->End(on_a.call, &lost);
  EXPECT_THAT(registry_.Text(), HasSubstr(R"(in_flight{worker="a"} 0)"));
  EXPECT_EQ(Picks({.model = "m"}, 3).count("a"), 3u);  // b has three more
}

TEST(RoutingTableThreadsTest, IsThreadSafe) {
  RoutingTable table;
  std::vector<uint64_t> ids;
  for (const char* address : {"a", "b", "c"}) {
    ids.push_back(table.Add(address));
    table.SetModels(ids.back(), ModelList({"m"}));
    table.SetLoad(ids.back(), Load({"m"}));
  }
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (size_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&, worker] {
      uint64_t id = ids[worker];
      while (!stop) {
        table.SetDown(id);
        table.Remove(id);
        id = table.Add(worker == 0 ? "a" : "b");
        table.SetModels(id, ModelList({"m"}));
        table.SetLoad(id, Load({"m"}));
      }
    });
  }
  // Worker c is always there, so a pick never fails.
  for (int i = 0; i < 2000; ++i) {
    const absl::StatusOr<PickedWorker> picked = table.Pick({.model = "m", .affinity_key = "k"});
    EXPECT_TRUE(picked.ok());
    table.Answered(picked->call);
    const absl::Status outcome = i % 3 == 0 ? absl::InternalError("x") : absl::OkStatus();
    table.End(picked->call, &outcome);
    EXPECT_GE(table.NumReady(), 1);
    EXPECT_EQ(table.Models().size(), 1u);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace skein
