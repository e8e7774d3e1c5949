// The pool against workers that come, go, drain and change their models.
#include "gateway/routing/worker_pool.h"

#include <functional>
#include <future>
#include <mutex>
#include <set>
#include <vector>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_worker.h"

namespace skein {
namespace {

bool WaitUntil(const std::function<bool()>& condition, absl::Duration timeout = absl::Seconds(10)) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

WorkerPoolOptions QuickOptions() {
  WorkerPoolOptions options;
  options.first_retry = absl::Milliseconds(20);
  options.last_retry = absl::Milliseconds(200);
  options.refresh = absl::Milliseconds(500);
  return options;
}

int NumReady(const WorkerPool& pool) { return pool.States()[WorkerState::kReady]; }

bool HasModel(const WorkerPool& pool, const std::string& name) {
  for (const v1::ModelInfo& model : pool.Models()) {
    if (model.name() == name) return true;
  }
  return false;
}

TEST(WorkerPoolTest, FindsAWorkerAndItsModels) {
  FakeWorker worker("fake");
  WorkerPool pool({worker.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] { return pool.Ready(); }));
  const auto handle = pool.Pick({.model = "fake"});
  ASSERT_TRUE(handle.ok()) << handle.status();
  EXPECT_EQ(handle->address, worker.address());
  EXPECT_NE(handle->channel, nullptr);
  EXPECT_EQ(pool.Pick({.model = ""})->address, worker.address());
  EXPECT_TRUE(absl::IsNotFound(pool.Pick({.model = "other"}).status()));
  ASSERT_EQ(pool.Models().size(), 1u);
  EXPECT_EQ(pool.Models()[0].max_prompt_tokens(), 4096u);
}

TEST(WorkerPoolTest, ListsAllWorkersOfAModel) {
  FakeWorker a("fake"), b("fake"), c("other");
  WorkerPool pool({a.address(), b.address(), c.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 3; }));
  const auto all = pool.PickAll("fake");
  ASSERT_TRUE(all.ok()) << all.status();
  std::set<std::string> addresses;
  for (const WorkerHandle& worker : *all) {
    addresses.insert(worker.address);
    EXPECT_NE(worker.channel, nullptr);
  }
  EXPECT_EQ(addresses, (std::set<std::string>{a.address(), b.address()}));
  EXPECT_TRUE(absl::IsInvalidArgument(pool.PickAll("").status()));
}

TEST(WorkerPoolTest, IsUnavailableWithoutAWorker) {
  WorkerPool pool({"127.0.0.1:1"}, QuickOptions());
  EXPECT_TRUE(absl::IsUnavailable(pool.Pick({.model = "fake"}).status()));
  EXPECT_FALSE(pool.Ready());
  EXPECT_TRUE(pool.Models().empty());
}

TEST(WorkerPoolTest, WaitsForAWorkerThatComesLater) {
  FakeWorker worker("fake");
  worker.Stop();
  WorkerPool pool({worker.address()}, QuickOptions());
  absl::SleepFor(absl::Milliseconds(300));
  EXPECT_FALSE(pool.Ready());
  worker.Start();
  EXPECT_TRUE(WaitUntil([&] { return pool.Ready(); }, absl::Seconds(3)));
}

TEST(WorkerPoolTest, SpreadsRequestsAndSkipsWorkersThatAreGone) {
  FakeWorker a("fake"), b("fake"), c("fake");
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  WorkerPoolOptions options = QuickOptions();
  options.metrics = &metrics;
  WorkerPool pool({a.address(), b.address(), c.address()}, options);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 3; }));
  EXPECT_TRUE(WaitUntil([&] { return metrics.ready_workers.Value() == 3; }));
  std::vector<WorkerHandle> handles;
  std::multiset<std::string> picked;
  for (int i = 0; i < 30; ++i) {
    handles.push_back(*pool.Pick({.model = "fake"}));
    picked.insert(handles.back().address);
  }
  for (const FakeWorker* worker : {&a, &b, &c}) {
    EXPECT_LE(picked.count(worker->address()), 13u);  // ceil(1.25 * 30 / 3)
  }
  const std::string text = registry.Text();
  EXPECT_NE(text.find("skein_gateway_workers{state=\"ready\"} 3"), std::string::npos) << text;

  b.Stop();
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 2; }));
  for (int i = 0; i < 10; ++i) EXPECT_NE(pool.Pick({.model = "fake"})->address, b.address());

  b.Start();
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 3; }));
  EXPECT_TRUE(pool.Pick({.model = "fake", .avoid = {a.address(), c.address()}}).ok());
}

TEST(WorkerPoolTest, SettingTheClockEjectsNobody) {
  FakeWorker worker("fake");
  FakeClock clock;
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  WorkerPoolOptions options = QuickOptions();
  options.clock = &clock;
  options.metrics = &metrics;
  options.silence = absl::Milliseconds(400);
  const absl::Duration looked = absl::Milliseconds(600);  // by then the pool has, at least once
  WorkerPool pool({worker.address()}, options);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 1; }));
  worker.SetSilent(true);
  for (const int hours : {1, -3, 1}) {
    clock.Set(absl::Hours(hours));
    absl::SleepFor(looked);
    EXPECT_EQ(NumReady(pool), 1) << hours;
  }
  for (int i = 0; i < 10 && NumReady(pool) == 1; ++i) {
    clock.Advance(absl::Milliseconds(300));
    absl::SleepFor(looked);
  }
  EXPECT_EQ(NumReady(pool), 0);
  EXPECT_NE(registry.Text().find("ejections_total{reason=\"silence\"} 1"), std::string::npos);
}

TEST(WorkerPoolTest, ASilentWorkerIsOutUntilItSpeaksAgain) {
  FakeWorker a("fake"), b("fake");
  WorkerPoolOptions options = QuickOptions();
  options.silence = absl::Milliseconds(400);
  WorkerPool pool({a.address(), b.address()}, options);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 2; }));
  absl::SleepFor(absl::Seconds(1));
  EXPECT_EQ(NumReady(pool), 2);  // heartbeats keep a worker without work in
  a.SetSilent(true);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 1; }, absl::Seconds(5)));
  EXPECT_EQ(pool.Pick({.model = "fake"})->address, b.address());
  a.SetSilent(false);
  EXPECT_TRUE(WaitUntil([&] { return NumReady(pool) == 2; }, absl::Seconds(5)));
}

TEST(WorkerPoolTest, FollowsWorkersThatAreAddedAndRemoved) {
  FakeWorker a("fake"), b("fake");
  std::mutex mu;
  std::set<std::string> known = {a.address()};
  WorkerPoolOptions options = QuickOptions();
  options.discovery.resolve_every = absl::Milliseconds(10);
  options.discovery.resolver = [&](const std::string&, uint16_t) {
    const std::lock_guard<std::mutex> lock(mu);
    return known;
  };
  const auto set_known = [&](const std::set<std::string>& addresses) {
    const std::lock_guard<std::mutex> lock(mu);
    known = addresses;
  };
  WorkerPool pool({"dns:workers:50051"}, options);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 1; }));
  set_known({a.address(), b.address()});
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 2; }));
  // Removed while a call holds it: its channel stays, new calls go elsewhere.
  const auto held = pool.Pick({.model = "fake", .avoid = {b.address()}});
  ASSERT_TRUE(held.ok());
  set_known({b.address()});
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 1; }));
  EXPECT_EQ(pool.Pick({.model = "fake"})->address, b.address());
  EXPECT_EQ(held->address, a.address());
  EXPECT_NE(held->channel, nullptr);
  held->Report(absl::OkStatus());
  for (int i = 0; i < 5; ++i) {  // to and fro
    set_known({a.address()});
    ASSERT_TRUE(
        WaitUntil([&] { return pool.Pick({.model = "fake", .avoid = {b.address()}}).ok(); }));
    set_known({b.address()});
    ASSERT_TRUE(
        WaitUntil([&] { return pool.Pick({.model = "fake", .avoid = {a.address()}}).ok(); }));
  }
}

TEST(WorkerPoolTest, RetriesHaveABudget) {
  FakeWorker a("fake"), b("fake");
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  WorkerPoolOptions options = QuickOptions();
  options.metrics = &metrics;
  WorkerPool pool({a.address(), b.address()}, options);
  ASSERT_TRUE(WaitUntil([&] { return NumReady(pool) == 2; }));
  EXPECT_TRUE(absl::IsUnavailable(
      pool.PickAgain({.model = "fake", .avoid = {a.address(), b.address()}}).status()));
  int retries = 0;
  while (pool.PickAgain({.model = "fake", .avoid = {a.address()}}).ok()) ++retries;
  EXPECT_EQ(retries, 10);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(pool.Pick({.model = "fake"}).ok());
  EXPECT_TRUE(pool.PickAgain({.model = "fake", .avoid = {a.address()}}).ok());
  const std::string text = registry.Text();
  for (const char* line :
       {"{outcome=\"exhausted\"} 1", "{outcome=\"retried\"} 11", "{outcome=\"budget\"} 1"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << " in\n" << text;
  }
}

v1::LoadStateRequest LoadRequest(const std::string& name, const std::string& path) {
  v1::LoadStateRequest request;
  request.set_name(name);
  request.set_path(path);
  return request;
}

TEST(WorkerPoolTest, FollowsWhatWorkersRegister) {
  FakeWorker worker("fake");
  worker.UseRegistry();
  WorkerPool pool({worker.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] { return pool.Ready() && pool.Has("fake", "a") == Holding::kNo; }));
  EXPECT_TRUE(absl::IsNotFound(pool.Pick({.model = "fake", .entries = {"a"}}).status()));
  worker.ChangeRegistry([](FakeRegistry& registry) {
    EXPECT_TRUE(registry.LoadState(LoadRequest("a", "a.pth")).ok());
  });
  ASSERT_TRUE(WaitUntil([&] { return pool.Has("fake", "a") == Holding::kYes; }));
  EXPECT_TRUE(pool.Pick({.model = "fake", .entries = {"a"}}).ok());
  ASSERT_EQ(pool.Entries("fake").size(), 1u);
  EXPECT_EQ(pool.Entries("fake")[0].entry.content_hash(), "hash of a.pth");
  EXPECT_EQ(worker.num_registry_changes(), 0);
  // Its process begins anew, with nothing.
  worker.Stop();
  worker.UseRegistry();
  worker.Start();
  ASSERT_TRUE(WaitUntil([&] { return pool.Ready() && pool.Has("fake", "a") == Holding::kNo; }));
}

TEST(WorkerPoolTest, BringsANewWorkerUpToItsPeers) {
  FakeWorker a("fake"), b("fake");
  b.Stop();
  a.UseRegistry();
  b.UseRegistry();
  a.ChangeRegistry([](FakeRegistry& registry) {
    EXPECT_TRUE(registry.LoadState(LoadRequest("pirate", "p.pth")).ok());
    v1::DefineMixtureRequest mixture;
    mixture.set_name("half");
    mixture.mutable_mix()->add_states()->set_name("pirate");
    EXPECT_TRUE(registry.DefineMixture(mixture).ok());
  });
  MetricsRegistry registry;
  GatewayMetrics metrics(registry);
  WorkerPoolOptions options = QuickOptions();
  options.metrics = &metrics;
  options.entries.grace = absl::ZeroDuration();
  options.entries.catch_up.settle = absl::ZeroDuration();
  WorkerPool pool({a.address(), b.address()}, options);
  const auto b_alone = [&] {
    return pool.Pick({.model = "fake", .entries = {"pirate", "half"}, .avoid = {a.address()}});
  };
  ASSERT_TRUE(WaitUntil([&] { return pool.Has("fake", "half") == Holding::kYes; }));
  EXPECT_FALSE(b_alone().ok());
  b.Start();
  ASSERT_TRUE(WaitUntil([&] { return b_alone().ok(); }));
  EXPECT_EQ(b.registered(), a.registered());
  EXPECT_EQ(b.num_registry_changes(), 2);
  EXPECT_EQ(a.num_registry_changes(), 0);
  EXPECT_NE(registry.Text().find("skein_gateway_registry_catch_ups_total{outcome=\"ok\"} 2"),
            std::string::npos);
  // The same name, another content: told by a metric.
  b.ChangeRegistry([](FakeRegistry& registry) {
    EXPECT_TRUE(registry.LoadState(LoadRequest("pirate", "other.pth")).ok());
  });
  EXPECT_TRUE(WaitUntil([&] {
    return registry.Text().find(
               "skein_gateway_registry_differences{kind=\"conflict\",model=\"fake\"} 1") !=
           std::string::npos;
  })) << registry.Text();
}

TEST(WorkerPoolTest, LeavesADrainingWorkerOut) {
  FakeWorker a("fake"), b("fake");
  WorkerPool pool({a.address(), b.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] {
    return pool.Pick({.model = "fake"}).ok() &&
           pool.Pick({.model = "fake", .avoid = {a.address()}}).ok();
  }));
  a.SetDraining(true);
  ASSERT_TRUE(WaitUntil([&] {
    return absl::IsUnavailable(pool.Pick({.model = "fake", .avoid = {b.address()}}).status());
  }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(pool.Pick({.model = "fake"})->address, b.address());
  b.SetDraining(true);
  EXPECT_TRUE(
      WaitUntil([&] { return absl::IsUnavailable(pool.Pick({.model = "fake"}).status()); }));
  EXPECT_FALSE(pool.Ready());
  a.SetDraining(false);
  EXPECT_TRUE(WaitUntil([&] { return pool.Pick({.model = "fake"}).ok(); }));
}

TEST(WorkerPoolTest, FollowsAModelThatIsReplaced) {
  FakeWorker worker("old");
  WorkerPool pool({worker.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] { return HasModel(pool, "old"); }));
  worker.SetModels({});
  ASSERT_TRUE(WaitUntil([&] { return !pool.Ready(); }));
  EXPECT_TRUE(absl::IsUnavailable(pool.Pick({.model = "old"}).status()));
  worker.SetModels({FakeModelInfo("new")});
  ASSERT_TRUE(WaitUntil([&] { return HasModel(pool, "new"); }));
  EXPECT_TRUE(pool.Pick({.model = "new"}).ok());
  EXPECT_TRUE(absl::IsNotFound(pool.Pick({.model = "old"}).status()));
}

TEST(WorkerPoolTest, KeepsRoutesByModel) {
  FakeWorker a("one"), b("two");
  WorkerPool pool({a.address(), b.address()}, QuickOptions());
  ASSERT_TRUE(WaitUntil([&] { return pool.Models().size() == 2; }));
  EXPECT_EQ(pool.Pick({.model = "one"})->address, a.address());
  EXPECT_EQ(pool.Pick({.model = "two"})->address, b.address());
  EXPECT_TRUE(absl::IsInvalidArgument(pool.Pick({.model = ""}).status()));
}

TEST(WorkerPoolTest, ConnectedWorkersNeedServeNothing) {
  FakeWorker a("one"), b("two"), draining("one");
  b.SetModels({});
  draining.SetDraining(true);
  WorkerPool pool({a.address(), b.address(), draining.address()}, QuickOptions());
  EXPECT_TRUE(WaitUntil([&] {
    const auto workers = pool.PickConnected();
    return workers.ok() && workers->size() == 2 && pool.States()[WorkerState::kDraining] == 1;
  }));
  EXPECT_TRUE(WaitUntil([&] { return pool.NumServing("one", {a.address()}) == 1; }));
  EXPECT_EQ(pool.NumServing("one", {b.address(), draining.address()}), 0);
  for (FakeWorker* worker : {&a, &b, &draining}) worker->Stop();
  EXPECT_TRUE(WaitUntil([&] { return absl::IsUnavailable(pool.PickConnected().status()); }));
}

TEST(WorkerPoolTest, WhatIsAwaitedIsToldOnceItShows) {
  FakeWorker worker("old");
  WorkerPool pool({worker.address()}, QuickOptions());
  std::promise<bool> shown, over;
  pool.Await([&] { return HasModel(pool, "new"); }, absl::Seconds(20),
             [&shown](bool met) { shown.set_value(met); });
  pool.Await([] { return false; }, absl::Milliseconds(20),
             [&over](bool met) { over.set_value(met); });
  worker.SetModels({FakeModelInfo("new")});
  EXPECT_TRUE(shown.get_future().get());
  EXPECT_FALSE(over.get_future().get());
}

TEST(WorkerPoolTest, AHandleMayOutliveThePool) {
  FakeWorker worker("fake");
  std::shared_ptr<WorkerLease> lease;
  {
    WorkerPool pool({worker.address()}, QuickOptions());
    ASSERT_TRUE(WaitUntil([&] { return pool.Ready(); }));
    lease = pool.Pick({.model = "fake"})->lease;
  }
  ASSERT_NE(lease, nullptr);
  lease->Answered();
  lease->Report(absl::OkStatus());
}

TEST(WorkerPoolTest, EndsQuicklyWhateverItsWorkersDo) {
  FakeWorker worker("fake");
  const absl::Time start = absl::Now();
  for (int i = 0; i < 10; ++i) {
    WorkerPool pool({worker.address(), "127.0.0.1:1", "no.such.host.invalid:80"}, QuickOptions());
    absl::SleepFor(absl::Milliseconds(i * 5));
  }
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

}  // namespace
}  // namespace skein
