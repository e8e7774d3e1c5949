// Which checkpoints are run, and what is said of those that are not.
#include "worker/models/registry.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/testing/checkpoint_copy.h"
#include "tests/testing/golden.h"
#include "tests/testing/model_runner.h"

namespace skein {
namespace {

using testing::HasSubstr;

ParallelFor& Threads() {
  static ParallelFor threads(2);
  return threads;
}

absl::StatusOr<std::unique_ptr<Model>> LoadFrom(const std::string& path) {
  auto files = ModelFiles::Open(path);
  if (!files.ok()) return files.status();
  return LoadModel(**files, {}, Stream(Threads()));
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(RegistryTest, RelativesInTheGoldenDataAreRefusedByName) {
  struct Case {
    const char* path;
    const char* named;
  };
  int checked = 0;
  for (const Case& c :
       {Case{"rwkv/rand-x060/model.f32.safetensors", "x060"},
        Case{"rwkv/rand-x060/model.bf16.pth", "x060"},
        Case{"rwkv/tiny-x060-q51/model.f32.safetensors", "x060"},
        Case{"hybrid/hxa079-moe", "mixture of experts"}, Case{"hybrid/hxa07a-bias-n128", "hxa07a"},
        Case{"hybrid/hxa07a-tied-f32", "hxa07a"}, Case{"hybrid/cxa076/model.pth", "cxa076"},
        Case{"hybrid/cxa076r/model.pth-names.safetensors", "cxa076"},
        Case{"hybrid/x-hxa07b-vlmoe", "hxa07b"}, Case{"hybrid/x-hxa07c", "hxa07c"},
        Case{"hybrid/x-hxa07d", "hxa07d"}}) {
    const auto path = GoldenPath(c.path);
    if (!path) continue;
    SCOPED_TRACE(c.path);
    const auto model = LoadFrom(*path);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), absl::StatusCode::kUnimplemented) << model.status();
    EXPECT_THAT(Message(model.status()), HasSubstr(c.named));
    ++checked;
  }
  if (checked == 0) GTEST_SKIP() << "no golden data";
}

TEST(RegistryTest, RelativesAreRecognisedByTheirTensorNames) {
  struct Case {
    const char* named;
    std::vector<const char*> tensors;
    const char* config;
  };
  for (const Case& c : {
           Case{"x060a", {"blocks.0.att.time_maa_w1", "blocks.0.att.gate_w1"}, ""},
           Case{"x060c", {"blocks.0.att.time_maa_rkvw_w1"}, ""},
           Case{"RWKV-4 or RWKV-5", {"blocks.0.att.time_decay", "emb.weight"}, ""},
           Case{"RWKV-4 or RWKV-5", {"rwkv.blocks.0.attention.time_decay"}, ""},
           Case{"fla layout",
                {"model.layers.0.attn.x_proj.0.mu", "model.layers.0.attn.w_proj.x"},
                ""},
           Case{"x070a/x070b", {"blocks.0.att.r_k", "blocks.0.ffn.s_emb.weight"}, ""},
           Case{"x080", {"blocks.0.att.r_k", "blocks.0.qkv.weight"}, ""},
           Case{"cxa073", {"blocks.0.att.ln_x.weight", "blocks.0.ffn.down.weight"}, ""},
           Case{"cxa075", {"blocks.0.att.k_k", "blocks.0.ffn.down.weight"}, ""},
           Case{"cxa076", {"blocks.0.att.receptance.weight", "blocks.0.ffn.down.weight"}, ""},
           Case{"ARWKV", {"blocks.0.att.x_r", "blocks.0.ffn.down.weight"}, ""},
           Case{"QRWKV7",
                {"model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.w0"},
                ""},
           Case{"hxa07a", {"model.layers.0.self_attn.receptance.weight"}, ""},
           Case{"hxa078r", {"emb.weight"}, R"({"rwkv_architecture": "hxa078r"})"},
           Case{"hxa07b", {"emb.weight"}, R"({"text_config": {"rwkv_architecture": "hxa07b"}})"},
           Case{"plain Transformer", {"model.layers.0.self_attn.q_proj.weight"}, ""},
           Case{"other names", {"transformer.h.0.attn.c_attn.weight"}, ""},
       }) {
    SCOPED_TRACE(c.named);
    CheckpointCopy writer;
    for (const char* name : c.tensors) writer.AddZeros(name, {2, 2});
    writer.config() = c.config;
    const auto model = LoadFrom(writer.Write("variant"));
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), absl::StatusCode::kUnimplemented) << model.status();
    EXPECT_THAT(Message(model.status()), HasSubstr(c.named));
  }
}

// A checkpoint that runs, one change to it, and what must be said.
struct Damage {
  const char* model;
  std::function<void(CheckpointCopy&)> change;
  const char* message;
};

void SetConfig(CheckpointCopy& writer, const std::string& from, const std::string& to) {
  ASSERT_TRUE(absl::StrContains(writer.config(), from)) << writer.config();
  writer.config() = absl::StrReplaceAll(writer.config(), {{from, to}});
}

TEST(RegistryTest, CheckpointsThatDoNotFitTogetherAreDataLossNamingTheTensor) {
  const char* kRwkv = "rwkv/rand-x070/model.bf16.safetensors";
  const char* kHybrid = "hybrid/hxa079-qknorm/model.safetensors.index.json";
  const std::vector<Damage> cases = {
      {kRwkv, [](CheckpointCopy& w) { w.tensors().erase("blocks.1.att.k_k"); }, "blocks.1.att.k_k"},
      {kRwkv, [](CheckpointCopy& w) { w.AddZeros("blocks.2.att.extra", {3}); },
       "blocks.2.att.extra"},
      {kRwkv,
       [](CheckpointCopy& w) {
         w.AddZeros("blocks.1.att.output.weight", {128, 127});
       },
       "blocks.1.att.output.weight"},
      {kRwkv, [](CheckpointCopy& w) { w.AddZeros("blocks.1.att.v1", {5}); }, "blocks.1.att.v1"},
      {kRwkv,
       [](CheckpointCopy& w) {
         w.AddZeros("blocks.7.att.r_k", {2, 64});
       },
       "layer 3"},
      {kRwkv,
       [](CheckpointCopy& w) {
         w.AddZeros("blocks.x.att.r_k", {2, 64});
       },
       "blocks.x"},
      {kRwkv, [](CheckpointCopy& w) { w.tensors().erase("head.weight"); }, "head.weight"},
      {kHybrid, [](CheckpointCopy& w) { SetConfig(w, "    1,\n    3\n", "    1,\n    2\n"); },
       "transformer_layers"},
      {kHybrid,
       [](CheckpointCopy& w) {
         SetConfig(w, "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 5");
       },
       "num_hidden_layers"},
      {kHybrid, [](CheckpointCopy& w) { SetConfig(w, "\"head_dim\": 64", "\"head_dim\": \"64\""); },
       "head_dim"},
      {kHybrid, [](CheckpointCopy& w) { w.config() = "{"; }, "config.json"},
      {kHybrid,
       [](CheckpointCopy& w) { w.tensors().erase("model.layers.2.self_attn.k_norm.weight"); },
       "head norms"},
      {kHybrid, [](CheckpointCopy& w) { w.tensors().erase("model.layers.2.self_attn.v2"); }, "v2"},
      {kHybrid,
       [](CheckpointCopy& w) {
         w.AddZeros("model.layers.0.self_attn.key.weight", {100, 256});
       },
       "key.weight"},
      {kHybrid,
       [](CheckpointCopy& w) { w.AddZeros("model.layers.1.self_attn.q_proj.bias", {255}); },
       "q_proj.bias"},
  };
  for (const Damage& damage : cases) {
    const auto path = GoldenPath(damage.model);
    if (!path) GTEST_SKIP() << "no golden data";
    SCOPED_TRACE(damage.message);
    CheckpointCopy writer(**ModelFiles::Open(*path));
    damage.change(writer);
    const auto model = LoadFrom(writer.Write("damaged"));
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), absl::StatusCode::kDataLoss) << model.status();
    EXPECT_THAT(Message(model.status()), HasSubstr(damage.message));
  }
}

std::vector<float> LogitsOf(Model& model, const std::vector<int32_t>& tokens) {
  ModelRunner runner(model, Stream(Threads()), {});
  return runner.Feed(0, tokens, 0);
}

// Two checkpoints that hold the same numbers in different ways.
void ExpectSameModel(const std::string& path, const std::string& other_path) {
  auto model = LoadFrom(path), other = LoadFrom(other_path);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_TRUE(other.ok()) << other.status();
  const std::vector<int32_t> tokens = {1, 2, 3, 500, 77, 12};
  EXPECT_EQ(LogitsOf(**model, tokens), LogitsOf(**other, tokens));
}

// BlinkDL's name in the fla layout.
std::string FlaName(const std::string& name) {
  const std::string renamed = absl::StrReplaceAll(name, {{"emb.weight", "model.embeddings.weight"},
                                                         {"head.weight", "lm_head.weight"},
                                                         {"ln_out.", "model.norm."},
                                                         {"blocks.", "model.layers."},
                                                         {".ln0.", ".pre_norm."},
                                                         {".ln1.", ".attn_norm."},
                                                         {".ln2.", ".ffn_norm."},
                                                         {".att.ln_x.", ".attn.g_norm."},
                                                         {".att.receptance.", ".attn.r_proj."},
                                                         {".att.key.", ".attn.k_proj."},
                                                         {".att.value.", ".attn.v_proj."},
                                                         {".att.output.", ".attn.o_proj."},
                                                         {".att.", ".attn."}});
  constexpr const char* kLowRank[] = {"lora.2.bias", "lora.0.weight", "lora.2.weight"};
  for (const char letter : {'w', 'a', 'v', 'g'}) {
    for (int i = 0; i < 3; ++i) {
      const std::string blink = absl::StrCat(".attn.", std::string(1, letter), i);
      const std::string fla = absl::StrCat(".attn.", std::string(1, letter), "_lora.", kLowRank[i]);
      if (absl::EndsWith(renamed, blink)) return absl::StrReplaceAll(renamed, {{blink, fla}});
    }
  }
  return renamed;
}

TEST(RegistryTest, AnFlaCheckpointIsTheSameModelUnderOtherNames) {
  const auto path = GoldenPath("rwkv/rand-x070/model.bf16.safetensors");
  if (!path) GTEST_SKIP() << "no golden data";
  CheckpointCopy writer(**ModelFiles::Open(*path));
  for (const char* name : {"v0", "v1", "v2"}) {
    writer.tensors().erase(absl::StrCat("blocks.0.att.", name));
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : writer.tensors()) names.push_back(name);
  for (const std::string& name : names) {
    const std::string renamed = FlaName(name);
    if (absl::StrContains(renamed, "_lora.") && absl::EndsWith(renamed, ".weight")) {
      writer.Transpose(name);
    }
    if (renamed != name) writer.Rename(name, renamed);
  }
  writer.config() = R"({"model_type": "rwkv7", "num_hidden_layers": 3, "norm_eps": 1e-5})";
  ExpectSameModel(*path, writer.Write("fla"));
}

TEST(RegistryTest, ATiedHeadIsTheEmbedding) {
  const auto path = GoldenPath("hybrid/hxa079-qknorm/model.safetensors.index.json");
  if (!path) GTEST_SKIP() << "no golden data";
  CheckpointCopy copied(**ModelFiles::Open(*path)), tied(**ModelFiles::Open(*path));
  copied.tensors()["lm_head.weight"] = copied.tensors()["model.embed_tokens.weight"];
  tied.tensors().erase("lm_head.weight");
  ExpectSameModel(copied.Write("copied"), tied.Write("tied"));
}

TEST(RegistryTest, OutputBiasesAreAppliedWhereTheyExist) {
  const auto path = GoldenPath("hybrid/hxa079-qknorm/model.safetensors.index.json");
  if (!path) GTEST_SKIP() << "no golden data";
  for (const char* name :
       {"model.layers.0.self_attn.output.bias", "model.layers.1.self_attn.o_proj.bias"}) {
    SCOPED_TRACE(name);
    CheckpointCopy plain(**ModelFiles::Open(*path)), zero = plain, biased = plain;
    zero.AddZeros(name, {256});
    biased.AddZeros(name, {256});
    biased.tensors()[name].values.assign(256, 0.5f);
    ExpectSameModel(plain.Write("plain"), zero.Write("zero"));
    auto with = LoadFrom(biased.Write("biased")), without = LoadFrom(plain.Write("plain"));
    ASSERT_TRUE(with.ok()) << with.status();
    EXPECT_NE(LogitsOf(**with, {3, 4}), LogitsOf(**without, {3, 4}));
  }
}

TEST(RegistryTest, FingerprintsTellModelsApart) {
  const auto path = GoldenPath("hybrid/hxa079-qknorm/model.safetensors.index.json");
  if (!path) GTEST_SKIP() << "no golden data";
  CheckpointCopy plain(**ModelFiles::Open(*path)), other = plain, theta = plain;
  other.tensors()["model.norm.weight"].values[5] += 0.25f;
  SetConfig(theta, "\"rope_theta\": 10000000.0", "\"rope_theta\": 1000000.0");
  const uint64_t first = (*LoadFrom(plain.Write("plain")))->description().fingerprint;
  EXPECT_EQ((*LoadFrom(plain.Write("same")))->description().fingerprint, first);
  EXPECT_NE((*LoadFrom(other.Write("other")))->description().fingerprint, first);
  EXPECT_NE((*LoadFrom(theta.Write("theta")))->description().fingerprint, first);
}

}  // namespace
}  // namespace skein
