// Real arithmetic: requests with different adapters, states and none share the steps of one engine,
// and each gets, bit for bit, what it gets alone.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "tests/testing/collecting_sink.h"
#include "tests/testing/golden.h"
#include "tests/worker/adapters/adapter_fixture.h"
#include "worker/adapters/adapter_name.h"
#include "worker/engine/step_loop.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr const char* kModels[] = {"rwkv/rand-x070/model.bf16.safetensors",
                                   "hybrid/hxa079-qknorm/model.safetensors.index.json"};

class AdapterModelTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto path = GoldenPath(GetParam());
    if (!path) GTEST_SKIP() << "not in the repository";
    auto files = ModelFiles::Open(*path);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
    base_ = std::make_unique<CheckpointTensors>(*files_);
    StepLoop::Options options;
    options.limits = {.max_sequences = 16,
                      .max_rows_per_step = 48,
                      .prefill_chunk = 13,
                      .page_tokens = 4,
                      .kv_bytes = int64_t{1} << 24};
    ModelLoadOptions load;
    load.max_rows = 48;
    auto model = LoadModel(*files_, load, Stream(threads_));
    ASSERT_TRUE(model.ok()) << model.status();
    auto loop = StepLoop::Create(*std::move(model), nullptr, Stream(threads_), std::move(options));
    ASSERT_TRUE(loop.ok()) << loop.status();
    loop_ = *std::move(loop);
  }

  std::shared_ptr<const BoundAdapter> Bind(const FakeFile& file) {
    auto adapter = Load(file, *base_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    auto bound = loop_->Bind(std::make_shared<const Adapter>(*std::move(adapter)));
    EXPECT_TRUE(bound.ok()) << bound.status();
    return *std::move(bound);
  }
  // Of every square matrix of layer 1.
  FakeFile Lora(uint32_t seed, int64_t rank) {
    FakeFile file(seed);
    for (const auto& [name, entry] : files_->tensors()) {
      const std::string native = NativeName(name);
      if (!absl::StartsWith(native, "blocks.1.") || !absl::EndsWith(native, ".weight")) continue;
      if (entry.shape.size() != 2) continue;
      file.AddLora(native.substr(0, native.size() - 7), entry.shape[0], entry.shape[1], rank);
    }
    return file;
  }
  GenerationRequest Request(int prompt_size, std::shared_ptr<const BoundAdapter> adapter) const {
    GenerationRequest request;
    for (int i = 0; i < prompt_size; ++i) request.prompt.push_back((i * i * 7 + i * 13) % 512);
    request.sampling.temperature = 0.8f;
    request.sampling.seed = 17;
    request.stopping.max_tokens = 12;
    request.logprobs = LogprobsParams{.top = 3};
    request.conditioning.adapter = std::move(adapter);
    return request;
  }
  std::vector<std::shared_ptr<CollectingSink>> Run(std::vector<GenerationRequest> requests) {
    std::vector<std::shared_ptr<CollectingSink>> sinks;
    for (GenerationRequest& request : requests) {
      sinks.push_back(std::make_shared<CollectingSink>());
      request.sink = sinks.back();
      const auto accepted = loop_->Submit(std::move(request));
      EXPECT_TRUE(accepted.ok()) << accepted.status();
    }
    for (const auto& sink : sinks) {
      EXPECT_TRUE(sink->WaitEnd());
      EXPECT_TRUE(sink->status().ok()) << sink->status();
    }
    return sinks;
  }

  ParallelFor threads_{2};
  std::unique_ptr<ModelFiles> files_;
  std::unique_ptr<CheckpointTensors> base_;
  std::unique_ptr<StepLoop> loop_;
};

TEST_P(AdapterModelTest, RequestsGetBesideOthersTheTokensThatTheyGetAlone) {
  const auto one = Bind(Lora(1, 4)), other = Bind(Lora(2, 16));
  std::vector<GenerationRequest> requests = {Request(30, one),   Request(9, nullptr),
                                             Request(17, other), Request(30, nullptr),
                                             Request(5, one),    Request(30, other)};
  requests[2].num_choices = 2;
  requests[4].conditioning.adapter_scale = 0.5f;
  requests[5].conditioning.branches = {{nullptr, 0.5f}, {nullptr, 0.5f}};
  const auto together = Run(requests);
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
  EXPECT_NE(together[0]->choice(0).tokens[0].logprob, together[3]->choice(0).tokens[0].logprob);
}

TEST_P(AdapterModelTest, AScaleIsForAdaptersThatTakeOne) {
  GenerationRequest request = Request(3, nullptr);
  request.sink = std::make_shared<CollectingSink>();
  request.conditioning.adapter_scale = 1.0f;
  EXPECT_EQ(loop_->Submit(request).status().message(), "scale: of no adapter");
  request.conditioning.adapter = Bind(Lora(1, 4));
  request.conditioning.adapter_scale = 1e9f;
  EXPECT_TRUE(absl::StrContains(loop_->Submit(request).status().message(), "expected -1000 to"));
}

INSTANTIATE_TEST_SUITE_P(Golden, AdapterModelTest, testing::ValuesIn(kModels),
                         [](const auto& info) { return info.index == 0 ? "rwkv7" : "hybrid"; });

}  // namespace
}  // namespace skein
