#include "gateway/routing/routing_table.h"

#include <atomic>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a worker is like, in the order of the addresses a, b, c.
struct WorkerState {
  bool connected = true;
  bool draining = false;
  std::vector<std::string> ready;
  std::vector<std::string> listed;
};

const std::vector<std::string> kAddresses = {"a", "b", "c"};

v1::ListModelsResponse ModelList(const std::vector<std::string>& names) {
  v1::ListModelsResponse list;
  for (const std::string& name : names) list.add_models()->set_name(name);
  return list;
}

v1::WorkerLoad Load(const std::vector<std::string>& ready, bool draining = false) {
  v1::WorkerLoad load;
  load.set_draining(draining);
  for (const std::string& name : ready) load.add_ready_models(name);
  return load;
}

void Fill(const std::vector<WorkerState>& states, RoutingTable& table) {
  for (size_t i = 0; i < states.size(); ++i) {
    table.SetModels(i, ModelList(states[i].listed));
    if (states[i].connected) table.SetLoad(i, Load(states[i].ready, states[i].draining));
  }
}

const WorkerState kDown = {false, false, {}, {}};
const WorkerState kWasM = {false, false, {}, {"m"}};
const WorkerState kM = {true, false, {"m"}, {"m"}};
const WorkerState kDrainingM = {true, true, {"m"}, {"m"}};
const WorkerState kOther = {true, false, {"other"}, {"other"}};
const WorkerState kBoth = {true, false, {"m", "other"}, {"m", "other"}};
const WorkerState kLoading = {true, false, {}, {}};
const WorkerState kUnlisted = {true, false, {"m"}, {}};

TEST(RoutingTableTest, PicksOneOfThoseThatServeOrSaysWhyNone) {
  using Code = absl::StatusCode;
  struct Case {
    const char* name;
    std::vector<WorkerState> workers;
    const char* model;
    Code code;
    const char* picked_or_message;  // the picks of four calls
  };
  for (const Case& c : {
           Case{"all serve", {kM, kM, kM}, "m", Code::kOk, "abca"},
           Case{"one draining", {kM, kDrainingM, kM}, "m", Code::kOk, "acac"},
           Case{"one down", {kWasM, kM, kDown}, "m", Code::kOk, "bbbb"},
           Case{"one loading", {kLoading, kLoading, kM}, "m", Code::kOk, "cccc"},
           Case{"load without list", {kUnlisted, kM}, "m", Code::kOk, "bbbb"},
           Case{"several models", {kBoth, kOther, kM}, "m", Code::kOk, "acac"},
           Case{"no name, one model", {kM, kM}, "", Code::kOk, "abab"},
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
    RoutingTable table(kAddresses);
    Fill(c.workers, table);
    std::string picks;
    absl::Status status;
    for (int i = 0; i < 4 && status.ok(); ++i) {
      const absl::StatusOr<size_t> pick = table.Pick(c.model);
      status = pick.status();
      if (pick.ok()) picks += kAddresses[*pick];
    }
    EXPECT_EQ(status.code(), c.code) << status;
    if (c.code == Code::kOk) {
      EXPECT_EQ(picks, c.picked_or_message);
    } else {
      EXPECT_THAT(std::string(status.message()), HasSubstr(c.picked_or_message));
    }
  }
}

TEST(RoutingTableTest, TakesTurnsPerModel) {
  RoutingTable table(kAddresses);
  Fill({kBoth, kBoth}, table);
  // Requests for the two models alternate; each model still sees both workers.
  std::string m, other;
  for (int i = 0; i < 4; ++i) {
    m += kAddresses[*table.Pick("m")];
    other += kAddresses[*table.Pick("other")];
  }
  EXPECT_EQ(m, "abab");
  EXPECT_EQ(other, "abab");
}

TEST(RoutingTableTest, AvoidsAWorker) {
  RoutingTable table(kAddresses);
  Fill({kM, kM}, table);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*table.Pick("m", {"a"}), 1u);
  table.SetDown(1);
  const absl::StatusOr<size_t> none = table.Pick("m", {"a"});
  EXPECT_TRUE(absl::IsUnavailable(none.status())) << none.status();
}

TEST(RoutingTableTest, ListsReadyModelsOnceByName) {
  RoutingTable table(kAddresses);
  Fill({kOther, kM, kBoth}, table);
  std::vector<std::string> names;
  for (const v1::ModelInfo& model : table.Models()) names.push_back(model.name());
  EXPECT_THAT(names, ElementsAre("m", "other"));
  EXPECT_EQ(table.NumReady(), 3);
  table.SetDown(0);
  table.SetLoad(2, Load({"m", "other"}, /*draining=*/true));
  EXPECT_EQ(table.Models().size(), 1u);
  EXPECT_EQ(table.NumReady(), 1);
}

TEST(RoutingTableTest, AWorkerComesBackAfterItWasDown) {
  RoutingTable table(kAddresses);
  Fill({kM}, table);
  table.SetDown(0);
  EXPECT_FALSE(table.Pick("m").ok());
  table.SetLoad(0, Load({"m"}));
  EXPECT_EQ(*table.Pick("m"), 0u);
}

TEST(RoutingTableTest, IsThreadSafe) {
  RoutingTable table(kAddresses);
  Fill({kM, kM, kM}, table);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (size_t worker = 0; worker < 2; ++worker) {
    threads.emplace_back([&, worker] {
      while (!stop) {
        table.SetDown(worker);
        table.SetModels(worker, ModelList({"m"}));
        table.SetLoad(worker, Load({"m"}));
      }
    });
  }
  // Worker c is always there, so a pick never fails.
  for (int i = 0; i < 2000; ++i) {
    EXPECT_TRUE(table.Pick("m").ok());
    EXPECT_GE(table.NumReady(), 1);
    EXPECT_EQ(table.Models().size(), 1u);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace skein
