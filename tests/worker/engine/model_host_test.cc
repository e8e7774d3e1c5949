#include "worker/engine/model_host.h"

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/collecting_sink.h"
#include "tests/testing/fake_clock.h"
#include "tests/testing/fake_model.h"
#include "tests/testing/fake_tokenizer.h"
#include "tests/testing/golden.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelHost::Options SmallOptions() {
  ModelHost::Options options;
  options.model.name = "fake";
  options.loader.limits = {
      .max_sequences = 4, .max_queue = 16, .page_tokens = 4, .kv_bytes = 1 << 20};
  options.loader.num_threads = 1;
  return options;
}

absl::Status AdoptFake(ModelHost& host, FakeModel::Options model = {}, ModelText text = {}) {
  return host.Adopt(
      {std::make_unique<FakeModel>(std::move(model)), std::move(text), Device::Cpu(1)});
}

std::shared_ptr<CollectingSink> Submit(ModelHost& host, int64_t max_tokens) {
  auto sink = std::make_shared<CollectingSink>();
  GenerationRequest request;
  request.prompt = {1, 2, 3};
  request.sampling.temperature = 0;
  request.stopping.max_tokens = max_tokens;
  request.logprobs.emplace();
  request.sink = sink;
  const auto model = host.Find("");
  EXPECT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->loop->Submit(std::move(request)).ok());
  return sink;
}

TEST(ModelHostTest, AModelIsFoundByItsNameOnceItIsReady) {
  ModelHost host(SmallOptions());
  EXPECT_EQ(host.status().state, ModelState::kLoading);
  const absl::Status loading = host.Find("fake").status();
  EXPECT_EQ(loading.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(loading.message()), HasSubstr("model fake: is loading"));
  ASSERT_TRUE(AdoptFake(host).ok());
  EXPECT_EQ(host.status().state, ModelState::kReady);
  EXPECT_EQ(host.status().load.free_state_slots, 4);
  for (const char* name : {"", "fake"}) {
    const auto model = host.Find(name);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ((*model)->profile.name, "fake");
    EXPECT_EQ((*model)->profile.description.vocab_size, 97);
    EXPECT_EQ((*model)->profile.max_sequences, 4);
    EXPECT_GT((*model)->profile.kv_bytes_per_token, 0);
  }
  EXPECT_EQ(host.Find("other").status().code(), absl::StatusCode::kNotFound);
}

TEST(ModelHostTest, ListenersHearEveryStateInOrder) {
  std::vector<ModelState> heard;  // by one call at a time, the last before WaitGone returns
  {
    ModelHost host(SmallOptions());
    const int64_t id = host.Subscribe([&](const HostStatus& status) {
      if (heard.empty() || heard.back() != status.state) heard.push_back(status.state);
    });
    ASSERT_TRUE(AdoptFake(host).ok());
    host.Drain();
    host.Drain();
    ASSERT_TRUE(host.WaitGone(absl::Seconds(10)));
    host.Unsubscribe(id);
  }
  EXPECT_THAT(heard, ElementsAre(ModelState::kLoading, ModelState::kReady, ModelState::kDraining,
                                 ModelState::kGone));
}

TEST(ModelHostTest, WhoUnsubscribedHearsNothing) {
  ModelHost host(SmallOptions());
  std::atomic<int> calls{0};
  host.Unsubscribe(host.Subscribe([&](const HostStatus&) { ++calls; }));
  ASSERT_TRUE(AdoptFake(host).ok());
  EXPECT_EQ(calls, 1);
}

TEST(ModelHostTest, DrainingLetsRunningRequestsFinish) {
  ModelHost host(SmallOptions());
  ASSERT_TRUE(AdoptFake(host).ok());
  const std::shared_ptr<CollectingSink> sink = Submit(host, 50);
  host.Drain();
  ASSERT_TRUE(host.WaitGone(absl::Seconds(10)));
  EXPECT_TRUE(sink->status().ok()) << sink->status();
  EXPECT_EQ(sink->choice(0).tokens.size(), 50u);
  const absl::Status gone = host.Find("").status();
  EXPECT_EQ(gone.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(gone.message()), HasSubstr("is gone"));
}

TEST(ModelHostTest, ListenersHearOfDrainingBeforeNewWorkIsRefused) {
  ModelHost host(SmallOptions());
  std::shared_ptr<ServedModel> model;
  std::optional<absl::Status> while_told;
  const auto submit = [&] {
    GenerationRequest request;
    request.prompt = {1};
    request.sink = std::make_shared<CollectingSink>();
    return model->loop->Submit(std::move(request)).status();
  };
  const int64_t id = host.Subscribe([&](const HostStatus& status) {
    if (status.state == ModelState::kDraining && !while_told) while_told = submit();
  });
  ASSERT_TRUE(AdoptFake(host).ok());
  model = *host.Find("");
  host.Drain();
  EXPECT_EQ(while_told, absl::OkStatus());
  EXPECT_EQ(submit().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(ReasonOf(submit()), "draining");
  host.Unsubscribe(id);
}

TEST(ModelHostTest, ALoadWithoutProgressIsAStall) {
  FakeClock clock;
  ModelHost::Options options = SmallOptions();
  options.loader.clock = &clock;
  ModelHost host(std::move(options));
  clock.Advance(absl::Seconds(7));
  clock.Set(absl::Hours(1));
  EXPECT_EQ(host.StalledFor(), absl::Seconds(7));
  EXPECT_EQ(ReasonOf(host.Find("").status()), "loading");
  ASSERT_TRUE(AdoptFake(host).ok());
  EXPECT_EQ(host.StalledFor(), absl::ZeroDuration());
  host.Drain();
  ASSERT_TRUE(host.WaitGone(absl::Seconds(10)));
  EXPECT_EQ(host.StalledFor(), absl::ZeroDuration());
}

TEST(ModelHostTest, AModelInUseOutlivesItsPlaceInTheHost) {
  ModelHost host(SmallOptions());
  ASSERT_TRUE(AdoptFake(host).ok());
  std::shared_ptr<ServedModel> model = *host.Find("");
  host.Drain();
  ASSERT_TRUE(host.WaitGone(absl::Seconds(10)));
  EXPECT_EQ(model->loop->model().vocab_size, 97);
  EXPECT_EQ(model->loop->Submit({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ModelHostTest, WaitGoneGivesUp) {
  ModelHost host(SmallOptions());
  ASSERT_TRUE(AdoptFake(host).ok());
  EXPECT_FALSE(host.WaitGone(absl::ZeroDuration()));
  EXPECT_FALSE(host.WaitGone(absl::Milliseconds(5)));
}

TEST(ModelHostTest, WhatIsDrainedWhileItLoadsNeverBecomesReady) {
  ModelHost host(SmallOptions());
  host.Drain();
  EXPECT_TRUE(host.WaitGone(absl::InfiniteDuration()));
  EXPECT_EQ(AdoptFake(host).code(), absl::StatusCode::kFailedPrecondition);
}

TEST(ModelHostTest, DestructionEndsWhatRuns) {
  std::shared_ptr<CollectingSink> sink;
  {
    ModelHost host(SmallOptions());
    ASSERT_TRUE(AdoptFake(host).ok());
    sink = Submit(host, 1000);
  }
  ASSERT_TRUE(sink->WaitEnd());
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kUnavailable);
}

TEST(ModelHostTest, AFailedLoadIsReported) {
  absl::Status failure;  // written by the loading thread, which the destructor joins
  {
    ModelHost::Options options = SmallOptions();
    options.model.path = "/nowhere/model";
    options.on_failure = [&](const absl::Status& status) { failure = status; };
    ModelHost host(std::move(options));
    host.StartLoading();
    EXPECT_TRUE(host.WaitGone(absl::Seconds(10)));
  }
  EXPECT_EQ(failure.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(failure.message()), HasSubstr("/nowhere/model"));
}

TEST(ModelHostTest, AModelThatFailsWhileItServesIsReportedAndGone) {
  std::atomic<int> failures{0};
  ModelHost::Options options = SmallOptions();
  options.on_failure = [&](const absl::Status& status) {
    if (status.code() == absl::StatusCode::kInternal) ++failures;
  };
  ModelHost host(std::move(options));
  FakeModel::Options model;
  model.on_forward = [](const ModelBatch&) { return absl::InternalError("out of luck"); };
  ASSERT_TRUE(AdoptFake(host, std::move(model)).ok());
  const std::shared_ptr<CollectingSink> sink = Submit(host, 5);
  ASSERT_TRUE(sink->WaitEnd());
  EXPECT_EQ(sink->status().code(), absl::StatusCode::kInternal);
  EXPECT_TRUE(host.WaitGone(absl::Seconds(10)));
  EXPECT_EQ(failures, 1);
}

TEST(ModelHostTest, TheFingerprintChangesWithTheTokenizer) {
  std::vector<std::string> fingerprints;
  for (const char* token : {"a", "b", "a"}) {
    ModelHost host(SmallOptions());
    ModelText text;
    text.tokenizer = std::make_shared<FakeTokenizer>(std::vector<std::string>{"x", token});
    ASSERT_TRUE(AdoptFake(host, {}, std::move(text)).ok());
    fingerprints.push_back((*host.Find(""))->profile.fingerprint);
  }
  EXPECT_NE(fingerprints[0], fingerprints[1]);
  EXPECT_EQ(fingerprints[0], fingerprints[2]);
}

TEST(ModelHostTest, TheFingerprintChangesWithWhatComputesTheModel) {
  ModelHost::Options cuda = SmallOptions();
  cuda.loader.use_cuda = true;
  ModelHost::Options rounded = cuda;
  rounded.model.state_dtype = DType::kF16;
  ModelHost::Options invariant = cuda;
  invariant.loader.gpu.cuda.batch_invariant = true;
  ModelHost::Options threads = SmallOptions();
  threads.loader.num_threads = 2;
  std::vector<std::string> fingerprints;
  for (const ModelHost::Options& options : {SmallOptions(), threads, cuda, rounded, invariant}) {
    ModelHost host(options);
    ASSERT_TRUE(AdoptFake(host).ok());
    fingerprints.push_back((*host.Find(""))->profile.fingerprint);
  }
  EXPECT_EQ(fingerprints[0], fingerprints[1]);
  fingerprints.erase(fingerprints.begin());
  EXPECT_EQ(std::set<std::string>(fingerprints.begin(), fingerprints.end()).size(), 4u);
}

TEST(ModelHostTest, ThreadsMayComeAndGoWhileItServes) {
  ModelHost host(SmallOptions());
  ASSERT_TRUE(AdoptFake(host).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        int running = 0;
        const int64_t id =
            host.Subscribe([&](const HostStatus& status) { running += status.load.running; });
        EXPECT_TRUE(Submit(host, 3)->WaitEnd());
        host.Unsubscribe(id);
        EXPECT_GE(running, 0);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(host.status().load.running, 0);
}

TEST(ModelHostTest, TheDemoModelLoads) {
  ModelHost::Options options = SmallOptions();
  options.model.name = "demo";
  options.model.path = SourcePath("deploy/demo-model");
  std::atomic<bool> failed{false};
  options.on_failure = [&](const absl::Status& status) {
    ADD_FAILURE() << status;
    failed = true;
  };
  ModelHost host(std::move(options));
  host.StartLoading();
  while (!failed && host.status().state == ModelState::kLoading) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const auto model = host.Find("demo");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->profile.description.architecture, "hybrid");
  EXPECT_NE((*model)->profile.text.tokenizer, nullptr);
  ASSERT_NE((*model)->profile.text.chat, nullptr);
  EXPECT_EQ(std::string((*model)->profile.text.chat->name), "chatml");
  EXPECT_THAT((*model)->profile.text.end_tokens, ElementsAre(2045, 2047));
}

}  // namespace
}  // namespace skein
