// Real arithmetic: requests with different adapters, states and none share the steps of one engine,
// and each gets, bit for bit, what it gets alone. On a GPU with SKEIN_TEST_DEVICE=cuda.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

#include "kernels/device/device.h"
#include "tests/testing/collecting_sink.h"
#include "tests/testing/golden.h"
#include "tests/worker/adapters/adapter_maker.h"
#include "tests/worker/engine/random_state.h"
#include "worker/engine/step_loop.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr const char* kModels[] = {"rwkv/rand-x070/model.bf16.safetensors",
                                   "hybrid/hxa079-qknorm/model.safetensors.index.json"};
constexpr int kMaxSequences = 64;

absl::StatusOr<std::unique_ptr<Device>> OpenDevice() {
  const char* const device = std::getenv("SKEIN_TEST_DEVICE");
  if (device == nullptr || absl::string_view(device) == "cpu") return Device::Cpu(2);
  // Alone a request has steps of one row, and batch_invariant holds for up to 64.
  return CreateCudaDevice({.batch_invariant = true});
}

class AdapterModelTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto path = GoldenPath(GetParam());
    if (!path) GTEST_SKIP() << "not in the repository";
    auto device = OpenDevice();
    if (!device.ok()) {
      ASSERT_EQ(std::getenv("SKEIN_REQUIRE_GPU"), nullptr) << device.status();
      GTEST_SKIP() << device.status();
    }
    device_ = *std::move(device);
    auto files = ModelFiles::Open(*path);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
    base_ = std::make_unique<CheckpointTensors>(*files_);
    StepLoop::Options options;
    const int max_rows = on_cpu() ? 160 : 64;
    options.limits = {.max_sequences = kMaxSequences,
                      .max_rows_per_step = max_rows,
                      .prefill_chunk = 13,
                      .page_tokens = 4,
                      .kv_bytes = int64_t{1} << 25};
    options.on_load_change = [this](const LoadSnapshot& load) {
      const std::lock_guard<std::mutex> all_are_submitted(mu_);
      most_running_ = std::max(most_running_, load.running);
    };
    ModelLoadOptions load;
    load.max_rows = max_rows;
    auto model = LoadModel(*files_, load, device_->stream());
    ASSERT_TRUE(model.ok()) << model.status();
    auto loop = StepLoop::Create(*std::move(model), nullptr, device_->stream(), std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }

  std::shared_ptr<const BoundAdapter> Bind(const std::string& method, uint32_t seed,
                                           int64_t rank = 16) {
    auto adapter = Load(AdapterMaker(*files_, seed, rank).Make(method), *base_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    auto bound = loop_->Bind(std::make_shared<const Adapter>(*std::move(adapter)));
    EXPECT_TRUE(bound.ok()) << bound.status();
    return *std::move(bound);
  }
  std::shared_ptr<const InitialState> State(uint32_t seed, bool factors = false) {
    return RandomState(loop_->state_layout(), seed, device_->stream(), factors);
  }
  GenerationRequest Request(int prompt_size, std::vector<AppliedAdapter> adapters,
                            std::vector<StateBranch> branches = {}) const {
    GenerationRequest request;
    for (int i = 0; i < prompt_size; ++i) request.prompt.push_back((i * i * 7 + i * 13) % 512);
    request.sampling.temperature = 0.8f;
    request.sampling.seed = 17;
    request.stopping.max_tokens = 12;
    request.logprobs = LogprobsParams{.top = 3};
    request.conditioning = {std::move(branches), std::move(adapters)};
    return request;
  }
  std::vector<std::shared_ptr<CollectingSink>> Run(std::vector<GenerationRequest> requests) {
    std::vector<std::shared_ptr<CollectingSink>> sinks;
    {
      const std::lock_guard<std::mutex> lock(mu_);
      for (GenerationRequest& request : requests) {
        sinks.push_back(std::make_shared<CollectingSink>());
        request.sink = sinks.back();
        const auto accepted = loop_->Submit(std::move(request));
        EXPECT_TRUE(accepted.ok()) << accepted.status();
      }
    }
    for (const auto& sink : sinks) {
      EXPECT_TRUE(sink->WaitEnd());
      EXPECT_TRUE(sink->status().ok()) << sink->status();
    }
    return sinks;
  }

  void ExpectSameAsAlone(const std::vector<GenerationRequest>& requests,
                         const std::vector<std::shared_ptr<CollectingSink>>& together) {
    for (size_t i = 0; i < requests.size(); ++i) {
      SCOPED_TRACE(i);
      const auto alone = Run({requests[i]});
      for (int choice = 0; choice < requests[i].num_choices; ++choice) {
        const auto& found = together[i]->choice(choice).tokens;
        const auto& expected = alone[0]->choice(choice).tokens;
        ASSERT_EQ(found.size(), expected.size());
        for (size_t k = 0; k < found.size(); ++k) {
          EXPECT_EQ(found[k].token, expected[k].token);
          EXPECT_EQ(found[k].logprob, expected[k].logprob);
        }
      }
    }
  }

  bool on_cpu() const { return device_->stream().on_cpu(); }
  int MostRunning() {
    const std::lock_guard<std::mutex> lock(mu_);
    return most_running_;
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<ModelFiles> files_;
  std::unique_ptr<CheckpointTensors> base_;
  std::mutex mu_;
  int most_running_ = 0;  // guarded by mu_
  std::unique_ptr<StepLoop> loop_;
};

TEST_P(AdapterModelTest, RequestsGetBesideOthersTheTokensThatTheyGetAlone) {
  const auto one = Bind("lora", 1, 4), other = Bind("lora", 2);
  std::vector<GenerationRequest> requests = {
      Request(30, {{one}}),          Request(9, {}),
      Request(17, {{other}}),        Request(30, {}),
      Request(5, {{one, 0.5f}}),     Request(30, {{other}}, {{nullptr, 0.5f}, {nullptr, 0.5f}}),
      Request(12, {{one}, {other}}), Request(12, {{one}, {other, 0.25f}})};
  requests[2].num_choices = 2;
  if (!on_cpu()) requests.resize(6);  // a GPU takes one adapter
  const auto together = Run(requests);
  ExpectSameAsAlone(requests, together);
  const auto first = [&](size_t i) { return together[i]->choice(0).tokens[0].logprob; };
  EXPECT_NE(first(0), first(3));
  if (on_cpu()) {
    EXPECT_NE(first(6), first(7));
  }
}

// 64 rows that share nothing but the weights.
TEST_P(AdapterModelTest, EveryKindSharesTheStepsOfABatchOf64Rows) {
  std::vector<GenerationRequest> requests;
  const auto add = [&](std::vector<AppliedAdapter> adapters, std::vector<StateBranch> branches) {
    const int size = 5 + static_cast<int>(requests.size() * 7 % 11);
    requests.push_back(Request(size, std::move(adapters), std::move(branches)));
  };
  uint32_t seed = 0;
  const auto adapters = [&](const std::string& method, int count, int64_t rank, int64_t wider) {
    for (int i = 0; i < count; ++i) add({{Bind(method, ++seed, rank + i * wider)}}, {});
  };
  adapters("lora", 16, 4, 4);
  adapters("dora", 4, 8, 8);
  adapters("dora_rows", 4, 8, 8);
  adapters("bone", 4, 16, 0);
  adapters("miss", 4, 16, 5);
  adapters(GetParam() == kModels[0] ? "experts" : "lora", 4, 16, 0);
  for (int i = 0; i < 8; ++i) add({}, {{State(++seed, on_cpu() && i % 2 == 1), 1}});
  for (int i = 0; i < 4; ++i) add({}, {{State(++seed), 0.75f}, {State(++seed), -0.25f}});
  if (on_cpu()) {
    add({{Bind("bone", ++seed)}, {Bind("lora", ++seed), 0.5f}, {Bind("miss", ++seed)}}, {});
    add({{Bind("lora", ++seed)}, {Bind("dora", ++seed)}}, {{State(++seed), 1}});
  }
  while (requests.size() < kMaxSequences - 4) add({}, {});
  std::vector<GenerationRequest> mixed = requests;
  std::reverse(mixed.begin() + 1, mixed.end() - 1);
  ExpectSameAsAlone(mixed, Run(mixed));
  if (on_cpu()) {
    EXPECT_EQ(MostRunning(), kMaxSequences);
  }
}

TEST_P(AdapterModelTest, FactorsOfTheWkvOutputAreAStatesOwn) {
  if (!on_cpu()) GTEST_SKIP() << "on the CPU alone";
  const auto state = State(1, true), without = State(1);
  const auto adapter = Bind("replacement", 1);  // its rows take a pass of their own
  const std::vector<GenerationRequest> requests = {
      Request(20, {}, {{without, 1}}), Request(20, {}, {{state, 1}}), Request(20, {}),
      Request(20, {{adapter}}, {{state, 1}}),
      Request(20, {}, {{nullptr, 0.5f}, {state, 0.25f}, {without, 0.25f}})};
  const auto together = Run(requests);
  ExpectSameAsAlone(requests, together);
  EXPECT_NE(together[0]->choice(0).tokens[0].logprob, together[1]->choice(0).tokens[0].logprob);
}

TEST_P(AdapterModelTest, AScaleIsWithinBounds) {
  GenerationRequest request = Request(3, {{Bind("lora", 1), 1e9f}});
  request.sink = std::make_shared<CollectingSink>();
  EXPECT_TRUE(absl::StrContains(loop_->Submit(request).status().message(), "expected -1000 to"));
}

INSTANTIATE_TEST_SUITE_P(Golden, AdapterModelTest, testing::ValuesIn(kModels),
                         [](const auto& info) { return info.index == 0 ? "rwkv7" : "hybrid"; });

}  // namespace
}  // namespace skein
