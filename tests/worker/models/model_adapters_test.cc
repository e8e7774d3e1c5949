// Adapters through whole models: beside the weights as merged into them, and beside each other.
#include <cstring>
#include <map>
#include <memory>
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

// Entries for every linear layer of a checkpoint, as a trainer would write them.
class AdapterMaker {
 public:
  AdapterMaker(const ModelFiles& files, uint32_t seed) : files_(files), random_(seed) {}

  FakeFile Make(const std::string& method) {
    for (const auto& [name, entry] : files_.tensors()) {
      const std::string native = NativeName(name);
      if (method == "replacement") {
        Replace(name, native, entry);
      } else if (method == "experts") {
        if (absl::EndsWith(native, "ffn.key.weight")) {
          const std::string module = native.substr(0, native.size() - 11);
          file_.AddExperts(module, entry.shape[1], entry.shape[0], 4, 4, 2);
        }
      } else if (absl::EndsWith(native, ".weight") && entry.shape.size() == 2 &&
                 native != "emb.weight") {
        Change(method, native.substr(0, native.size() - 7), entry.shape[0], entry.shape[1]);
      }
    }
    return std::move(file_);
  }

 private:
  std::vector<float> Values(int64_t count, float middle, float width) {
    std::uniform_real_distribution<float> uniform(middle - width, middle + width);
    std::vector<float> values(count);
    for (float& value : values) value = uniform(random_);
    return values;
  }
  void Small(const std::string& name, const Shape& shape) {
    file_.AddValues(name, shape, Values(NumElements(shape), 0.0f, 0.03f));
  }

  void Change(const std::string& method, const std::string& module, int64_t outputs,
              int64_t inputs) {
    constexpr int64_t kRank = 16;
    if (method == "bone") return Small(module + ".bone", {inputs / kRank, kRank, kRank});
    if (method == "miss") return Small(module + ".disha", {24, outputs});
    Small(module + ".lora_A", {kRank, inputs});
    Small(module + ".lora_B", {outputs, kRank});
    if (method == "dora") {
      file_.AddValues(module + ".lora_M", {1, inputs}, Values(inputs, 0.6f, 0.3f));
    }
    if (method == "dora_rows") {
      file_.AddValues(module + ".lora_magnitude_vector", {outputs}, Values(outputs, 0.6f, 0.3f));
    }
  }

  // Vectors, low-rank maps, one of the large matrices, and a LoRA on top of another.
  void Replace(const std::string& name, const std::string& native, const TensorEntry& entry) {
    if (absl::EndsWith(name, "head_size_record") || absl::EndsWith(name, "layer_architecture")) {
      return;
    }
    const bool large = entry.shape.size() == 2 && absl::EndsWith(native, ".weight");
    if (native == "blocks.1.att.key.weight") {
      file_.AddLora("blocks.1.att.key", entry.shape[0], entry.shape[1], 4);
    }
    if (large && !absl::StartsWith(native, "blocks.1.")) return;
    std::vector<float> values(NumElements(entry.shape));
    ASSERT_TRUE(ModelFiles::CopyFloat(entry, values.data()).ok());
    for (float& value : values) value += Values(1, 0.0f, 0.02f)[0];
    file_.AddValues(native, entry.shape, std::move(values));
  }

  const ModelFiles& files_;
  std::mt19937 random_;
  FakeFile file_;
};

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
  std::shared_ptr<const Adapter> Read(const std::string& method, uint32_t seed) {
    auto adapter = skein::Load(AdapterMaker(*files_, seed).Make(method), *base_);
    EXPECT_TRUE(adapter.ok()) << method << ": " << adapter.status();
    return std::make_shared<const Adapter>(*std::move(adapter));
  }
  std::shared_ptr<const BoundAdapter> Bind(const std::shared_ptr<const Adapter>& adapter) {
    auto bound = model_->Bind(adapter, Stream(threads_));
    EXPECT_TRUE(bound.ok()) << bound.status();
    return bound.ok() ? *bound : nullptr;
  }
  // The model with the adapter in its weights.
  std::unique_ptr<Model> Merged(const Adapter& adapter) {
    CheckpointCopy copy(*files_);
    for (auto& [name, tensor] : copy.tensors()) {
      if (absl::EndsWith(name, "head_size_record") || absl::EndsWith(name, "layer_architecture")) {
        continue;
      }
      auto values = MergedTensor(adapter, NativeName(name), *base_, threads_);
      EXPECT_TRUE(values.ok()) << values.status();
      tensor.values = *std::move(values);
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
    const std::vector<float> merged = Logits(*Merged(*adapter), tokens);
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
      parts.push_back({s, Prompt((s + step) % 3 == 0 ? 7 : 1, 10 * s + step), adapters[s].get()});
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
    EXPECT_TRUE(SameBits(logits[s], Logits(*model_, fed[s], adapters[s].get())));
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
