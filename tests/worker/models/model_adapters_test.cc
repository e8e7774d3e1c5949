// Adapters through whole models: beside the weights as merged into them, and beside each other.
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "tests/testing/checkpoint_copy.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"
#include "tests/worker/adapters/adapter_fixture.h"
#include "tests/worker/adapters/adapter_maker.h"
#include "worker/adapters/adapter_name.h"
#include "worker/adapters/bound_adapter.h"
#include "worker/adapters/merge.h"
#include "worker/models/registry.h"

namespace skein {
namespace {

constexpr const char* kPure = "rwkv/rand-x070/model.bf16.safetensors";
constexpr const char* kHybrid = "hybrid/hxa079-qknorm/model.safetensors.index.json";
constexpr const char* kBiased = "hybrid/hxa079-bias-n96/model.safetensors";

std::vector<int32_t> Prompt(int length, int seed) {
  std::vector<int32_t> tokens(length);
  for (int i = 0; i < length; ++i) tokens[i] = (i * i * 7 + i * 13 + seed * 101) % 512;
  return tokens;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class ModelAdaptersTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto path = GoldenPath(GetParam());
    if (!path) GTEST_SKIP() << "not in the repository";
    auto files = ModelFiles::Open(*path);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
    base_ = std::make_unique<CheckpointTensors>(*files_);
    model_ = Load(*files_);
  }

  std::unique_ptr<Model> Load(const ModelFiles& files) {
    ModelLoadOptions options;
    options.max_rows = 256;
    auto model = LoadModel(files, options, Stream(threads_));
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? *std::move(model) : nullptr;
  }
  std::shared_ptr<const Adapter> Read(const std::string& method, uint32_t seed,
                                      const AdapterOptions& options = {}) {
    auto adapter = skein::Load(AdapterMaker(*files_, seed).Make(method), *base_, options);
    EXPECT_TRUE(adapter.ok()) << method << ": " << adapter.status();
    return std::make_shared<const Adapter>(*std::move(adapter));
  }
  std::shared_ptr<const BoundAdapter> Bind(const std::shared_ptr<const Adapter>& adapter) {
    auto bound = model_->Bind(adapter, Stream(threads_));
    EXPECT_TRUE(bound.ok()) << bound.status();
    return bound.ok() ? *bound : nullptr;
  }
  // The model with the adapters in its weights, which change by the sum of what each changes.
  std::unique_ptr<Model> Merged(const std::vector<const Adapter*>& adapters) {
    CheckpointCopy copy(*files_);
    for (auto& [name, tensor] : copy.tensors()) {
      if (absl::EndsWith(name, "head_size_record") || absl::EndsWith(name, "layer_architecture")) {
        continue;
      }
      const std::vector<float> own = tensor.values;
      for (const Adapter* adapter : adapters) {
        auto values = MergedTensor(*adapter, NativeName(name), *base_, threads_);
        EXPECT_TRUE(values.ok()) << values.status();
        for (size_t i = 0; i < own.size(); ++i) tensor.values[i] += (*values)[i] - own[i];
      }
    }
    auto files = ModelFiles::Open(copy.Write(absl::StrCat("merged", ++num_merged_)));
    EXPECT_TRUE(files.ok()) << files.status();
    return Load(**files);
  }
  std::vector<float> Logits(Model& model, const std::vector<int32_t>& tokens,
                            const BoundAdapter* adapter = nullptr) {
    ModelRunner runner(model, Stream(threads_), {});
    std::vector<float> logits = runner.Feed(0, tokens, 0, adapter);
    EXPECT_TRUE(runner.last_status().ok()) << runner.last_status();
    return logits;
  }

  ParallelFor threads_{2};
  std::unique_ptr<ModelFiles> files_;
  std::unique_ptr<CheckpointTensors> base_;
  std::unique_ptr<Model> model_;
  int num_merged_ = 0;
};

TEST_P(ModelAdaptersTest, BesideTheWeightsTheyAreWhatTheyAreMerged) {
  const std::vector<int32_t> tokens = Prompt(20, 1);
  const std::vector<float> plain = Logits(*model_, tokens);
  for (const char* method : {"lora", "dora", "dora_rows", "bone", "miss", "replacement"}) {
    SCOPED_TRACE(method);
    const auto adapter = Read(method, 3);
    const auto bound = Bind(adapter);
    ASSERT_NE(bound, nullptr);
    const std::vector<float> beside = Logits(*model_, tokens, bound.get());
    const std::vector<float> merged = Logits(*Merged({adapter.get()}), tokens);
    EXPECT_LT(LargestError(beside, merged), 1e-4);
    EXPECT_GT(LargestError(beside, plain), 1e-2);  // it does something
  }
}

TEST_P(ModelAdaptersTest, ASequenceGetsBesideOthersTheBitsThatItGetsAlone) {
  std::vector<std::shared_ptr<const BoundAdapter>> adapters = {nullptr};
  for (const char* method : {"lora", "dora", "dora_rows", "bone", "miss", "replacement"}) {
    adapters.push_back(Bind(Read(method, static_cast<uint32_t>(adapters.size()))));
  }
  if (GetParam() == kPure) adapters.push_back(Bind(Read("experts", 9)));
  adapters.push_back(nullptr);
  adapters.push_back(adapters[1]);
  // On top of the LoRA that comes last, and of the one that replaces tensors.
  std::vector<std::vector<std::pair<const BoundAdapter*, std::optional<float>>>> further(
      adapters.size());
  const auto lora = Bind(Read("lora", 21)), miss = Bind(Read("miss", 22));
  further.back() = {{adapters[4].get(), {}}, {miss.get(), {}}, {lora.get(), 0.5f}};
  further[6] = {{lora.get(), {}}};
  const int count = static_cast<int>(adapters.size());
  const int64_t vocab = model_->description().vocab_size;
  ModelRunner runner(*model_, Stream(threads_), {.sequences = count});
  std::vector<std::vector<int32_t>> fed(count);
  std::vector<std::vector<float>> logits(count);
  for (int step = 0; step < 6; ++step) {
    std::vector<ModelRunner::Part> parts;
    for (int i = 0; i < count; ++i) {
      const int s = (i + 5 * step) % count;
      if ((s + step) % 4 == 3) continue;
      parts.push_back({s, Prompt((s + step) % 3 == 0 ? 7 : 1, 10 * s + step), adapters[s].get(),
                       std::nullopt, further[s]});
    }
    const std::vector<float> out = runner.Step(parts);
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    auto at = out.begin();
    for (const ModelRunner::Part& part : parts) {
      const auto end = at + static_cast<int64_t>(part.tokens.size()) * vocab;
      logits[part.sequence].insert(logits[part.sequence].end(), at, end);
      fed[part.sequence].insert(fed[part.sequence].end(), part.tokens.begin(), part.tokens.end());
      at = end;
    }
  }
  for (int s = 0; s < count; ++s) {
    SCOPED_TRACE(s);
    ModelRunner alone(*model_, Stream(threads_), {});
    EXPECT_TRUE(SameBits(logits[s],
                         alone.Step({{0, fed[s], adapters[s].get(), std::nullopt, further[s]}})));
  }
}

TEST_P(ModelAdaptersTest, SeveralChangeTheWeightsByTheSumOfWhatEachChanges) {
  const std::vector<int32_t> tokens = Prompt(20, 4);
  const auto lora = Read("lora", 31), half = Read("lora", 32, {.scaling = 0.5f});
  const auto bound = Bind(Read("lora", 32));
  for (const char* method : {"dora", "dora_rows", "bone", "miss", "replacement"}) {
    SCOPED_TRACE(method);
    const auto other = Read(method, 33);
    ModelRunner runner(*model_, Stream(threads_), {});
    const std::vector<float> found =
        runner.Step({{0,
                      tokens,
                      Bind(lora).get(),
                      std::nullopt,
                      {{bound.get(), 0.5f}, {Bind(other).get(), {}}}}});
    ASSERT_TRUE(runner.last_status().ok()) << runner.last_status();
    const std::vector<float> merged =
        Logits(*Merged({lora.get(), half.get(), other.get()}), tokens);
    EXPECT_LT(LargestError(found, merged), 1e-4);
    EXPECT_GT(LargestError(found, Logits(*Merged({lora.get(), half.get()}), tokens)), 1e-2);
  }
}

TEST_P(ModelAdaptersTest, EqualExpertsAreAPlainLora) {
  if (GetParam() != kPure) GTEST_SKIP() << "has no experts";
  FakeFile lora, mole;
  std::mt19937 random(8);
  std::uniform_real_distribution<float> uniform(-0.1f, 0.1f);
  const auto values = [&](int64_t count) {
    std::vector<float> out(count);
    for (float& value : out) value = uniform(random);
    return out;
  };
  constexpr int64_t kWidth = 128, kFfn = 512, kRank = 4, kExperts = 3;
  mole.AddValues("blocks.1.ffn.moe_info", {2}, {kExperts, 2});
  mole.AddValues("blocks.1.ffn.router.linear.weight", {kExperts - 1, kWidth},
                 values((kExperts - 1) * kWidth));
  const auto add = [&](const std::string& matrix, const std::string& part, const Shape& shape) {
    const std::vector<float> same = values(NumElements(shape));
    lora.AddValues(absl::StrCat("blocks.1.ffn.", matrix, ".", part), shape, same);
    for (int64_t e = 0; e < kExperts; ++e) {
      mole.AddValues(absl::StrCat("blocks.1.ffn.expert_", e, ".", matrix, ".", part, "_expert_0"),
                     shape, same);
    }
  };
  add("key", "lora_A", {kRank, kWidth});
  add("key", "lora_B", {kFfn, kRank});
  add("value", "lora_A", {kRank, kFfn});
  add("value", "lora_B", {kWidth, kRank});
  const auto bind = [&](const FakeFile& file) {
    auto adapter = skein::Load(file, *base_);
    EXPECT_TRUE(adapter.ok()) << adapter.status();
    return Bind(std::make_shared<const Adapter>(*std::move(adapter)));
  };
  const std::vector<int32_t> tokens = Prompt(20, 5);
  const std::vector<float> plain = Logits(*model_, tokens, bind(lora).get());
  EXPECT_LT(LargestError(Logits(*model_, tokens, bind(mole).get()), plain), 1e-4);
  EXPECT_GT(LargestError(Logits(*model_, tokens), plain), 1e-3);
}

TEST_P(ModelAdaptersTest, ALoraTakesAScaleForOneRequest) {
  const auto adapter = Read("lora", 4);
  const auto bound = Bind(adapter);
  auto other = skein::Load(AdapterMaker(*files_, 4).Make("lora"), *base_, {.scaling = 0.5f});
  ASSERT_TRUE(other.ok()) << other.status();
  const auto halved = Bind(std::make_shared<const Adapter>(*std::move(other)));
  const std::vector<int32_t> tokens = Prompt(9, 2);
  ModelRunner runner(*model_, Stream(threads_), {});
  const std::vector<float> scaled = runner.Step({{0, tokens, bound.get(), 0.5f}});
  EXPECT_TRUE(SameBits(scaled, Logits(*model_, tokens, halved.get())));
  EXPECT_TRUE(CheckTakesScale(*adapter).ok());
  EXPECT_TRUE(absl::StrContains(CheckTakesScale(*Read("dora", 4)).message(), "only LoRA"));
}

TEST_P(ModelAdaptersTest, WhatCannotBeAppliedBesideTheWeightsIsRefused) {
  std::string module;
  Shape shape;
  for (const auto& [name, entry] : files_->tensors()) {
    const std::string native = NativeName(name);
    if (!absl::EndsWith(native, "att.key.weight")) continue;
    module = native.substr(0, native.size() - 7);
    shape = entry.shape;
  }
  FakeFile wide;
  wide.AddLora(module, shape[0], shape[1], kMaxAdapterRank + 1);
  FakeFile blocks;
  blocks.Add(module + ".bone", {shape[0] / 16, 16, 16});
  struct Case {
    const FakeFile* file;
    AdapterOptions options;
    const char* message;
  };
  for (const Case& c : {Case{&wide, {}, "rank 1025, expected at most 1024"},
                        Case{&blocks, {.output_blocks = true}, "can only be merged"}}) {
    auto adapter = skein::Load(*c.file, *base_, c.options);
    ASSERT_TRUE(adapter.ok()) << adapter.status();
    const auto bound =
        model_->Bind(std::make_shared<const Adapter>(*std::move(adapter)), Stream(threads_));
    EXPECT_EQ(bound.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StrContains(bound.status().message(), c.message)) << bound.status();
  }
}

INSTANTIATE_TEST_SUITE_P(All, ModelAdaptersTest, testing::Values(kPure, kHybrid, kBiased),
                         [](const testing::TestParamInfo<const char*>& info) {
                           if (info.param == kPure) return std::string("Pure");
                           return std::string(info.param == kHybrid ? "Hybrid" : "Biased");
                         });

}  // namespace
}  // namespace skein
