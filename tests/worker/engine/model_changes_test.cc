// Replacing and unloading models of a ModelHost.
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/metrics/metrics.h"
#include "tests/testing/collecting_sink.h"
#include "tests/testing/fake_model.h"
#include "tests/testing/golden.h"
#include "worker/engine/model_host.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Served = std::shared_ptr<ServedModel>;
constexpr absl::Duration kGrace = absl::Seconds(20);
constexpr int64_t kForever = 1'000'000;

ModelSource Fake(const std::string& name, FakeModel::Options model = {}) {
  ModelSource source;
  source.name = name;
  model.num_kv_layers = 0;
  source.load = [model] {
    return absl::StatusOr<LoadedModel>(
        LoadedModel{std::make_unique<FakeModel>(model), {}, Device::Cpu(1)});
  };
  return source;
}

ModelSource Broken(const std::string& name) {
  ModelSource source;
  source.name = name;
  source.load = [] { return absl::StatusOr<LoadedModel>(absl::DataLossError("torn weights")); };
  return source;
}

ModelSource Demo(const std::string& name) {
  ModelSource source;
  source.name = name;
  source.path = SourcePath("deploy/demo-model");
  return source;
}

class ModelChangesTest : public ::testing::Test {
 protected:
  static ModelHost::Options SmallOptions() {
    ModelHost::Options options;
    options.loader.limits = {
        .max_sequences = 4, .max_queue = 16, .page_tokens = 4, .kv_bytes = 1 << 20};
    options.loader.num_threads = 1;
    return options;
  }
  void Start(ModelSource source, ModelHost::Options options = SmallOptions()) {
    options.model = std::move(source);
    options.metrics = &metrics_;
    options.on_failure = [](const absl::Status& status) { ADD_FAILURE() << status; };
    host_ = std::make_unique<ModelHost>(std::move(options));
    if (host_->name().empty()) return;
    host_->StartLoading();
    WaitFor(ModelState::kReady);
  }
  void WaitFor(ModelState state) {
    std::promise<void> reached;
    bool told = false;
    const int64_t id = host_->Subscribe([&](const HostStatus& status) {
      if (status.state != state || std::exchange(told, true)) return;
      reached.set_value();
    });
    ASSERT_EQ(reached.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
    host_->Unsubscribe(id);
  }
  using Outcome = std::future<absl::StatusOr<Served>>;
  static ModelHost::ChangeListener Listener(Outcome& outcome) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<Served>>>();
    outcome = promise->get_future();
    return {.on_progress = nullptr, .on_end = [promise](const absl::StatusOr<Served>& model) {
              promise->set_value(model);
            }};
  }
  Outcome BeginReplacing(ModelSource source, absl::Duration grace = kGrace) {
    Outcome outcome;
    EXPECT_TRUE(host_->Replace(std::move(source), grace, Listener(outcome)).ok());
    return outcome;
  }
  absl::Status Replace(ModelSource source, absl::Duration grace = kGrace) {
    return BeginReplacing(std::move(source), grace).get().status();
  }
  absl::Status Unload(absl::Duration grace = kGrace) {
    Outcome outcome;
    const absl::Status status = host_->Unload("", grace, Listener(outcome));
    return status.ok() ? outcome.get().status() : status;
  }
  std::shared_ptr<CollectingSink> Submit(int64_t max_tokens, const Served& model) {
    auto sink = std::make_shared<CollectingSink>();
    GenerationRequest request;
    request.prompt = {1, 2, 3};
    request.sampling.temperature = 0;
    request.stopping.max_tokens = max_tokens;
    request.logprobs.emplace();
    request.sink = sink;
    EXPECT_TRUE(model->loop->Submit(std::move(request)).ok());
    return sink;
  }
  Served Model(const std::string& name = "") { return *host_->Find(name); }
  void ExpectServes(const std::string& name) {
    const auto model = host_->Find(name);
    ASSERT_TRUE(model.ok()) << model.status();
    const auto sink = Submit(3, *model);
    ASSERT_TRUE(sink->WaitEnd());
    EXPECT_TRUE(sink->status().ok()) << sink->status();
  }

  MetricsRegistry metrics_;
  std::unique_ptr<ModelHost> host_;
};

TEST_F(ModelChangesTest, AModelTakesThePlaceOfAnother) {
  Start(Fake("a"));
  std::vector<std::string> heard;
  const int64_t id = host_->Subscribe([&](const HostStatus& status) {
    const std::string now = status.model + " " + std::string(ModelStateName(status.state));
    if (heard.empty() || heard.back() != now) heard.push_back(now);
  });
  FakeModel::Options small;
  small.vocab_size = 50;
  auto replaced = BeginReplacing(Fake("b", small)).get();
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ((*replaced)->profile.name, "b");
  EXPECT_EQ(Model("b")->profile.description.vocab_size, 50);
  ExpectServes("b");
  EXPECT_EQ(host_->Find("a").status().code(), absl::StatusCode::kNotFound);
  host_->Unsubscribe(id);
  EXPECT_THAT(heard, ElementsAre("a ready", "a unloading", "b loading", "b ready"));
}

TEST_F(ModelChangesTest, WhatRunsMayFinishAndNewWorkIsToldToComeBack) {
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  FakeModel::Options gated;
  gated.on_forward = [gate](const ModelBatch&) {
    gate.wait();
    return absl::OkStatus();
  };
  Start(Fake("a", gated));
  const Served old = Model();
  const auto sink = Submit(20, old);
  Outcome outcome = BeginReplacing(Fake("b"));
  WaitFor(ModelState::kUnloading);
  for (const char* name : {"", "a", "b"}) {
    const absl::Status refused = host_->Find(name).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << name;
    EXPECT_EQ(ReasonOf(refused), "loading");
    EXPECT_THAT(std::string(refused.message()), HasSubstr("model a: is being replaced by b"));
  }
  EXPECT_EQ(host_->Find("c").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(old->loop->CheckRoom()), "loading");
  go_on.set_value();
  EXPECT_TRUE(outcome.get().ok());
  EXPECT_TRUE(sink->status().ok()) << sink->status();
  EXPECT_EQ(sink->choice(0).tokens.size(), 20u);
}

TEST_F(ModelChangesTest, AfterTheGraceTimeWhatRunsIsEnded) {
  Start(Fake("a"));
  const auto running = Submit(kForever, Model());
  ASSERT_TRUE(running->WaitTokens(1));
  EXPECT_TRUE(Replace(Fake("b"), absl::Milliseconds(30)).ok());
  ASSERT_TRUE(running->WaitEnd());
  EXPECT_EQ(running->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(running->status()), "loading");
  EXPECT_THAT(std::string(running->status().message()),
              HasSubstr("model a: is being replaced by b; the time for running requests is over"));
  ExpectServes("b");
}

TEST_F(ModelChangesTest, WhatIsWrongWithTheFilesDisturbsNobody) {
  Start(Fake("a"));
  const auto running = Submit(kForever, Model());
  ASSERT_TRUE(running->WaitTokens(1));
  std::atomic<int> changes{0};
  const int64_t id = host_->Subscribe([&](const HostStatus& status) {
    if (status.state != ModelState::kReady) ++changes;
  });
  ModelSource missing;
  missing.name = "b";
  missing.path = "/nowhere/model";
  const absl::Status status = Replace(missing);
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nowhere/model"));
  EXPECT_EQ(changes, 0);
  EXPECT_FALSE(running->WaitEnd(absl::ZeroDuration()));
  host_->Unsubscribe(id);
}

TEST_F(ModelChangesTest, AfterAFailedLoadTheModelThatStayedServesAgain) {
  Start(Fake("a"));
  const Served old = Model();
  const absl::Status status = Replace(Broken("b"));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::string(status.message()), "torn weights; model a serves again");
  EXPECT_EQ(Model("a"), old);
  EXPECT_EQ(host_->Find("b").status().code(), absl::StatusCode::kNotFound);
  ExpectServes("a");
  EXPECT_TRUE(old->Change([] { return absl::OkStatus(); }).ok());
  EXPECT_EQ(host_->status().load.free_state_slots, 4);
  EXPECT_FALSE(host_->status().load.draining);
  EXPECT_THAT(metrics_.Text(), HasSubstr("skein_worker_state_slots{model=\"a\"} 4"));
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("model=\"b\"")));
  EXPECT_TRUE(Replace(Fake("b")).ok());  // and another load can work
}

// Room for one demo model at a time.
ModelHost::Options RoomForOne(ModelHost::Options options) {
  options.loader.limits.max_rows_per_step = 16;
  options.loader.limits.prefill_chunk = 16;
  options.loader.device_memory = 20 << 20;
  return options;
}

TEST_F(ModelChangesTest, WithoutRoomForBothTheOldOneGoesFirst) {
  Start(Demo("a"), RoomForOne(SmallOptions()));
  const Served old = Model();
  EXPECT_GT(old->planned_bytes, 10 << 20);
  ASSERT_TRUE(Replace(Demo("b")).ok());
  EXPECT_EQ(old->device, nullptr);  // its memory went though it is held here
  EXPECT_EQ(old->loop->CheckRoom().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(old->Change([] { return absl::OkStatus(); }).code(), absl::StatusCode::kUnavailable);
  ExpectServes("b");
}

TEST_F(ModelChangesTest, AModelWhoseMemoryWentIsLoadedAgainAfterAFailure) {
  std::vector<std::string> prepared;
  ModelHost::Options options = RoomForOne(SmallOptions());
  options.prepare = [&prepared](ServedModel& model) {
    prepared.push_back(model.profile.name);
    return model.profile.name == "b" ? absl::InvalidArgumentError("no such state")
                                     : absl::OkStatus();
  };
  Start(Demo("a"), std::move(options));
  const Served old = Model();
  const absl::Status failed = Replace(Demo("b"));
  EXPECT_EQ(failed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(failed.message()), "no such state; model a serves again");
  EXPECT_THAT(prepared, ElementsAre("a", "b", "a"));
  EXPECT_NE(Model("a"), old);
  ExpectServes("a");
}

TEST_F(ModelChangesTest, WhatCannotFitEvenAloneIsRefusedBeforeAnythingEnds) {
  ModelHost::Options options = SmallOptions();
  options.loader.device_memory = 1 << 20;
  Start(Fake("a"), options);
  const auto running = Submit(kForever, Model());
  ASSERT_TRUE(running->WaitTokens(1));
  const absl::Status status = Replace(Demo("b"));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(running->WaitEnd(absl::ZeroDuration()));
}

TEST_F(ModelChangesTest, AnUnloadedModelLeavesNothingBehindEvenIfItIsHeld) {
  auto token = std::make_shared<int>(0);
  const std::weak_ptr<int> memory = token;  // what only the model holds
  FakeModel::Options tracked;
  tracked.on_forward = [token](const ModelBatch&) { return absl::OkStatus(); };
  ModelSource source = Fake("a", tracked);
  tracked = {};
  token.reset();
  Start(Fake(""));
  EXPECT_EQ(host_->status().state, ModelState::kEmpty);
  EXPECT_EQ(host_->Find("").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Unload().code(), absl::StatusCode::kNotFound);
  const auto once = std::make_shared<decltype(source.load)>(std::move(source.load));
  source.load = [once] { return std::exchange(*once, nullptr)(); };
  ASSERT_TRUE(Replace(std::move(source)).ok());
  const Served held = Model("a");
  ExpectServes("a");
  EXPECT_FALSE(memory.expired());
  EXPECT_EQ(host_->Unload("other", kGrace, {}).code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(Unload().ok());
  EXPECT_TRUE(memory.expired());
  EXPECT_EQ(host_->status().state, ModelState::kEmpty);
  EXPECT_EQ(host_->status().model, "");
  EXPECT_EQ(host_->status().registry, nullptr);
  EXPECT_THAT(metrics_.Text(), Not(HasSubstr("model=\"a\"")));
  EXPECT_TRUE(Replace(Fake("b")).ok());
  ExpectServes("b");
}

TEST_F(ModelChangesTest, AnEmptyWorkerSaysWhyItIsEmptyAndLoadsAgain) {
  Start(Fake(""));
  EXPECT_EQ(Replace(Broken("b")).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(host_->status().state, ModelState::kEmpty);
  const absl::Status empty = host_->Find("b").status();
  EXPECT_EQ(empty.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(
      std::string(empty.message()),
      "model \"b\": not served here, no model is loaded (the last load failed: torn weights)");
  EXPECT_TRUE(Replace(Fake("b")).ok());
  ExpectServes("b");
}

TEST_F(ModelChangesTest, OneChangeAtATime) {
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  Start(Fake("a"));
  ModelSource slow = Fake("b");
  slow.load = [gate, load = slow.load] {
    gate.wait();
    return load();
  };
  Outcome outcome = BeginReplacing(slow);
  WaitFor(ModelState::kLoading);
  EXPECT_EQ(host_->Replace(Fake("c"), kGrace, {}).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReasonOf(host_->Find("b").status()), "loading");
  EXPECT_THAT(std::string(host_->Find("a").status().message()),
              HasSubstr("model a: is being replaced by b"));
  go_on.set_value();
  EXPECT_TRUE(outcome.get().ok());
  EXPECT_TRUE(Replace(Fake("c")).ok());
}

TEST_F(ModelChangesTest, AWorkerThatDrainsMeanwhileLoadsNothing) {
  std::promise<void> go_on;
  std::shared_future<void> gate = go_on.get_future().share();
  FakeModel::Options gated;
  gated.on_forward = [gate](const ModelBatch&) {
    gate.wait();
    return absl::OkStatus();
  };
  Start(Fake("a", gated));
  const auto sink = Submit(5, Model());
  Outcome outcome = BeginReplacing(Fake("b"), absl::ZeroDuration());
  WaitFor(ModelState::kUnloading);
  host_->Drain();
  EXPECT_EQ(host_->status().state, ModelState::kDraining);
  go_on.set_value();
  EXPECT_TRUE(host_->WaitGone(absl::Seconds(20)));
  EXPECT_EQ(outcome.get().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(host_->Replace(Fake("c"), kGrace, {}).code(), absl::StatusCode::kUnavailable);
}

TEST_F(ModelChangesTest, AHostMayGoWhileAModelLeaves) {
  Start(Fake("a"));
  const auto running = Submit(kForever, Model());
  ASSERT_TRUE(running->WaitTokens(1));
  Outcome outcome = BeginReplacing(Fake("b"));
  WaitFor(ModelState::kUnloading);
  host_.reset();
  EXPECT_EQ(running->status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(outcome.get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ModelChangesTest, TheSameModelAgainKeepsItsCounters) {
  Start(Fake("a"));
  ExpectServes("a");
  ASSERT_TRUE(Replace(Fake("a")).ok());
  ExpectServes("a");
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("skein_worker_requests_total{model=\"a\",outcome=\"ok\"} 2"));
}

TEST_F(ModelChangesTest, RequestsComeAndGoWhileModelsDo) {
  Start(Fake("a"));
  std::atomic<bool> stop{false};
  std::atomic<int> served{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const auto model = host_->Find("");
        if (!model.ok()) continue;
        auto sink = std::make_shared<CollectingSink>();
        GenerationRequest request;
        request.prompt = {1};
        request.stopping.max_tokens = 4;
        request.sink = sink;
        if (!(*model)->loop->Submit(std::move(request)).ok()) continue;
        ASSERT_TRUE(sink->WaitEnd());
        ASSERT_TRUE(sink->status().ok()) << sink->status();
        ++served;
      }
    });
  }
  for (int i = 0; i < 20; ++i) {
    const int before = served;
    ASSERT_TRUE(Replace(Fake(i % 2 == 0 ? "b" : "a")).ok());
    while (served < before + 4) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& client : clients) client.join();
}

}  // namespace
}  // namespace skein
