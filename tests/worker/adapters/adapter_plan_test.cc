// What is accepted, and what users read when an adapter does not fit.
#include "worker/adapters/adapter_plan.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/worker/adapters/adapter_fixture.h"
#include "worker/adapters/merge.h"

namespace skein {
namespace {

using testing::HasSubstr;

constexpr int64_t kWidth = 12, kFfnWidth = 24;
const std::string kKey = "blocks.0.att.key";

class AdapterPlanTest : public testing::Test {
 protected:
  FakeBase base_{kWidth, kFfnWidth};
};

struct Refusal {
  const char* name;
  FakeFile file;
  std::string message;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
  AdapterOptions options = {};
};

FakeFile Lora() { return FakeFile().AddLora(kKey, kWidth, kWidth, 4); }
FakeFile Experts() { return FakeFile().AddExperts("blocks.1.ffn", kWidth, kFfnWidth, 2, 4, 2); }
const std::string kExpert = "blocks.1.ffn.expert_2.key.";

void ExpectRefused(const std::vector<Refusal>& refusals, const BaseTensors& base) {
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.name);
    const auto adapter = Load(refusal.file, base, refusal.options);
    ASSERT_FALSE(adapter.ok());
    EXPECT_EQ(adapter.status().code(), refusal.code);
    EXPECT_EQ(adapter.status().message(), refusal.message);
  }
}

TEST_F(AdapterPlanTest, WrongLowRankPairsAreRefused) {
  const auto pair = [](const Shape& a, const Shape& b) {
    return FakeFile().Add(kKey + ".lora_A", a).Add(kKey + ".lora_B", b);
  };
  ExpectRefused(
      {{"only A", FakeFile().Add(kKey + ".lora_A", {4, kWidth}),
        "blocks.0.att.key: has lora_A without lora_B"},
       {"only B", FakeFile().Add(kKey + ".lora_B", {kWidth, 4}),
        "blocks.0.att.key: has lora_B without lora_A"},
       {"only M", FakeFile().Add(kKey + ".lora_M", {1, kWidth}),
        "blocks.0.att.key: has lora_M without lora_A"},
       {"inputs", pair({4, 13}, {kWidth, 4}),
        "blocks.0.att.key: lora_A has shape [4, 13] and lora_B [12, 4], expected [r, 12] and [12, "
        "r]"},
       {"ranks", pair({4, kWidth}, {kWidth, 5}),
        "blocks.0.att.key: lora_A has rank 4, lora_B has rank 5"},
       {"rank 3", pair({1, 4, kWidth}, {kWidth, 4}),
        "blocks.0.att.key: lora_A has shape [1, 4, 12], expected two dimensions"},
       {"magnitudes", Lora().Add(kKey + ".lora_M", {1, 11}),
        "blocks.0.att.key: lora_M has shape [1, 11], expected 12 values"},
       {"both magnitudes",
        Lora().Add(kKey + ".lora_M", {1, kWidth}).Add(kKey + ".lora_magnitude_vector", {kWidth}),
        "blocks.0.att.key: has lora_M and lora_magnitude_vector, expected one of them"},
       {"init alone", Lora().Add(kKey + ".init_lora_A", {4, kWidth}),
        "blocks.0.att.key: has init_lora_A without init_lora_B"},
       {"module", FakeFile().AddLora("blocks.2.att.key", kWidth, kWidth, 4),
        "blocks.2.att.key: this model has no such linear layer"},
       {"vector", FakeFile().AddLora("blocks.0.ln1", kWidth, kWidth, 4),
        "blocks.0.ln1: this model has no such linear layer"},
       {"embedding", FakeFile().AddLora("emb", 50, kWidth, 4),
        "emb: LoRA of the embedding cannot be applied"},
       {"twice", Lora().Add("model." + kKey + ".lora_A.weight", {4, kWidth}),
        "model.blocks.0.att.key.lora_A.weight: another entry has the same meaning"}},
      base_);
}

TEST_F(AdapterPlanTest, WrongBlocksAreRefused) {
  const auto block = [](const Shape& shape) { return FakeFile().Add(kKey + ".bone", shape); };
  const std::string weight = " for a weight of [12, 12]";
  ExpectRefused(
      {{"no divisor", block({2, 5, 5}),
        "blocks.0.att.key: block has shape [2, 5, 5], expected [inputs / r, r, r] with r a divisor "
        "of both" +
            weight},
       {"too few", block({2, 4, 4}),
        "blocks.0.att.key: block has shape [2, 4, 4], expected [inputs / r, r, r] with r a divisor "
        "of both" +
            weight},
       {"outputs", block({4, 13}),
        "blocks.0.att.key: block has shape [4, 13], expected [r, outputs] with r at most the "
        "inputs" +
            weight},
       {"more rows than inputs", block({13, kWidth}),
        "blocks.0.att.key: block has shape [13, 12], expected [r, outputs] with r at most the "
        "inputs" +
            weight},
       {"vector", block({kWidth}),
        "blocks.0.att.key: block has shape [12], expected [r, outputs] or [inputs / r, r, r]" +
            weight},
       {"beside a pair", Lora().Add(kKey + ".bone", {4, kWidth}),
        "blocks.0.att.key: has blocks and low-rank matrices, expected one of them"},
       {"old blocks",
        block({4, kWidth}),
        "blocks.0.att.key: block has shape [4, 12], expected [outputs, r] with r a divisor of "
        "both" +
            weight,
        absl::StatusCode::kInvalidArgument,
        {.output_blocks = true}}},
      base_);
}

TEST_F(AdapterPlanTest, WrongReplacementsAndStrangersAreRefused) {
  ExpectRefused(
      {{"stranger", Lora().Add("blocks.0.att.kee.lora_C", {3}),
        "1 entry belongs to no tensor of this model: blocks.0.att.kee.lora_C"},
       {"two strangers", FakeFile().Add("a", {1}).Add("b\n", {1}),
        "2 entries belong to no tensor of this model: a, b\\n"},
       {"shape", FakeFile().Add("blocks.0.ln1.weight", {13}),
        "blocks.0.ln1.weight: shape [13], expected [12]"},
       {"transposed", FakeFile().Add("blocks.0.ffn.key.weight", {kWidth, kFfnWidth}),
        "blocks.0.ffn.key.weight: shape [12, 24], expected [24, 12]"},
       {"vocabulary", FakeFile().Add("emb.weight", {51, kWidth}),
        "emb.weight: shape [51, 12], expected [50, 12]; another vocabulary is another model"},
       {"integers", FakeFile().AddRaw("blocks.0.ln1.weight", DType::kI64, {kWidth}),
        "blocks.0.ln1.weight: type I64, expected F32, BF16, F16 or F64"},
       {"empty tensor", FakeFile().AddRaw(kKey + ".bone", DType::kF32, {0, kWidth}),
        "blocks.0.att.key.bone: is empty"},
       {"nothing", FakeFile(), "holds nothing that changes this model"},
       {"both strengths",
        Lora(),
        "scaling and alpha are both given, expected at most one",
        absl::StatusCode::kInvalidArgument,
        {.scaling = 1.0f, .alpha = 8.0f}},
       {"infinite",
        Lora(),
        "scaling or alpha is not a finite number",
        absl::StatusCode::kInvalidArgument,
        {.scaling = std::numeric_limits<float>::infinity()}},
       {"rule",
        Lora(),
        "mole_rule is 3, expected 1 or 2",
        absl::StatusCode::kInvalidArgument,
        {.mole_rule = 3}}},
      base_);
}

TEST_F(AdapterPlanTest, WrongMixturesAreRefused) {
  const std::string ffn = "blocks.1.ffn", router = ffn + ".router.linear.weight";
  const auto old = absl::StrCat(
      ffn,
      ": has a router with a bias or a row for expert 0, as trained before 2025-02-07; such "
      "files cannot be used");
  ExpectRefused(
      {{"bias", Experts().Add(ffn + ".router.linear.bias", {3}), old},
       {"old rows", Experts().Remove(router).Add(router, {4, kWidth}), old},
       {"no router", Experts().Remove(router), ffn + ": has experts without router.linear.weight"},
       {"router shape", Experts().Remove(router).Add(router, {2, kWidth}),
        ffn + ": router.linear.weight has shape [2, 12], expected [3, 12]"},
       {"half an expert", Experts().Remove(kExpert + "lora_B_expert_0"),
        ffn + ".expert_2.key: has lora_A without lora_B"},
       {"no key", Experts().Remove(kExpert + "lora_B_expert_0").Remove(kExpert + "lora_A_expert_0"),
        ffn + ".expert_2.key: is missing"},
       {"count", Experts().Remove(ffn + ".moe_info").AddValues(ffn + ".moe_info", {2}, {5, 2}),
        ffn + ": moe_info says 5 experts, the file has 4"},
       {"active", Experts().Remove(ffn + ".moe_info").AddValues(ffn + ".moe_info", {2}, {4, 4.5f}),
        ffn + ": moe_info says 4.5 active experts of 4"},
       {"gap",
        Experts().Remove(ffn + ".moe_info").Add(ffn + ".expert_5.key.lora_A_expert_0", {2, kWidth}),
        ffn + ": has 5 experts, expected expert_0, expert_1 and so on without gaps"},
       {"own adapter", Experts().AddLora(ffn + ".key", kFfnWidth, kWidth, 2),
        ffn + ".key: has experts and an adapter of its own; only one can be used"},
       {"bone",
        Experts()
            .Remove(kExpert + "lora_A_expert_0")
            .Remove(kExpert + "lora_B_expert_0")
            .Add(kExpert + "bone_expert_0", {6, 2, 2}),
        ffn + ".expert_2.key: experts of the Bone kind are not supported",
        absl::StatusCode::kUnimplemented}},
      base_);
  FakeBase gated(kWidth, kFfnWidth);
  gated.Add("blocks.1.ffn.receptance.weight", {kWidth, kWidth});
  ExpectRefused({{"x060", Experts(), ffn + ": has experts, but this is no RWKV-7 channel mix"}},
                gated);
}

TEST_F(AdapterPlanTest, ValuesThatAreNotFiniteAreRefused) {
  std::vector<float> values(4 * kWidth, 0.5f);
  values[7] = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  ExpectRefused({{"NaN",
                  FakeFile()
                      .Add(kKey + ".lora_B", {kWidth, 4})
                      .AddValues(kKey + ".lora_A", {4, kWidth}, values),
                  "blocks.0.att.key.down: value 7 is not finite", absl::StatusCode::kDataLoss},
                 {"magnitude",
                  Lora().AddValues(kKey + ".lora_magnitude_vector", {kWidth},
                                   std::vector<float>(kWidth, inf)),
                  "blocks.0.att.key: magnitude 0 is not finite", absl::StatusCode::kDataLoss},
                 {"state", Lora().AddValues("blocks.0.att.time_state", {1, 1, 1}, {inf}),
                  "blocks.0.att.time_state: value 0 is not finite", absl::StatusCode::kDataLoss}},
                base_);
}

TEST_F(AdapterPlanTest, AllProblemsAreNamedAtOnceUpToALimit) {
  FakeFile file;
  for (int i = 0; i < 12; ++i) file.Add(absl::StrCat("stranger", i), {1});
  file.AddLora("blocks.0.att.key", 13, kWidth, 4).AddLora("blocks.0.att.value", 14, kWidth, 4);
  const auto adapter = Load(file, base_);
  EXPECT_THAT(std::string(adapter.status().message()),
              testing::AllOf(HasSubstr("blocks.0.att.key: lora_A has"),
                             HasSubstr("blocks.0.att.value: lora_A has"),
                             HasSubstr("12 entries belong to no tensor of this model: stranger0"),
                             HasSubstr("stranger7 and 4 more")));
}

TEST_F(AdapterPlanTest, NamesInMessagesAreShort) {
  FakeFile file;
  for (int i = 0; i < 8; ++i) file.Add(std::string(50'000, static_cast<char>('a' + i)), {1});
  for (int i = 0; i < 8; ++i)
    file.AddLora(std::string(50'000, static_cast<char>('a' + i)), 1, 1, 1);
  EXPECT_LT(Load(file, base_).status().message().size(), 4096u);
}

TEST_F(AdapterPlanTest, ScalingComesFromWhoSaysIt) {
  const auto scale = [&](const AdapterOptions& options, const std::optional<PeftConfig>& peft) {
    return Load(Lora(), base_, options, peft)->linears[0].hooks.scale;
  };
  PeftConfig peft;
  peft.rank = 4;
  peft.alpha = 24;
  EXPECT_EQ(scale({}, {}), 2.0f);
  EXPECT_EQ(scale({.scaling = 0.5f}, {}), 0.5f);
  EXPECT_EQ(scale({.alpha = 12.0f}, {}), 3.0f);
  EXPECT_EQ(scale({}, peft), 6.0f);
  EXPECT_EQ(scale({.scaling = 0.5f}, peft), 0.5f);
  peft.rank_stabilised = true;
  EXPECT_EQ(scale({}, peft), 12.0f);
  peft.alpha_pattern = {{"value", 7}, {"att.key", 2}};
  EXPECT_EQ(scale({}, peft), 1.0f);
  peft.rank_pattern = {{"key", 8}};
  EXPECT_EQ(Load(Lora(), base_, {}, peft).status().message(),
            "blocks.0.att.key: has rank 4, adapter_config.json says 8");
}

TEST_F(AdapterPlanTest, AStrengthWithoutEffectIsAWarning) {
  const auto adapter = Load(FakeFile().Add(kKey + ".bone", {4, kWidth}), base_, {.scaling = 1.0f});
  ASSERT_TRUE(adapter.ok()) << adapter.status();
  EXPECT_THAT(adapter->warnings,
              testing::ElementsAre("scaling has no effect: nothing in this file is scaled"));
}

TEST_F(AdapterPlanTest, WhatChangesResultsChangesTheIdentity) {
  const auto hash = [&](const FakeFile& file, const AdapterOptions& options = {}) {
    return Load(file, base_, options)->content_hash;
  };
  const std::string plain = hash(Lora());
  EXPECT_EQ(hash(Lora()), plain);
  EXPECT_NE(hash(Lora(), {.scaling = 1.0f}), plain);
  EXPECT_EQ(hash(Lora(), {.alpha = 8.0f}), plain);  // 8 / 4 is the default of 2
  EXPECT_NE(hash(FakeFile(2).AddLora(kKey, kWidth, kWidth, 4)), plain);
  EXPECT_NE(hash(FakeFile().AddLora("blocks.1.att.key", kWidth, kWidth, 4)), plain);
  EXPECT_NE(hash(Experts()), hash(Experts(), {.mole_rule = 1}));
  const std::vector<float> ones(kWidth, 1.0f), twos(kWidth, 2.0f);
  const std::string magnitude = kKey + ".lora_M";
  EXPECT_NE(hash(Lora().AddValues(magnitude, {kWidth}, ones)),
            hash(Lora().AddValues(magnitude, {kWidth}, twos)));
}

TEST_F(AdapterPlanTest, ShapesAreEqualWithoutExtentsOfOne) {
  FakeFile file;
  file.Add("blocks.0.att.x_r", {kWidth}).Add("blocks.1.att.r_k", {kWidth});
  file.Add("blocks.0.ln1.weight", {1, 1, kWidth});
  const auto adapter = Load(file, base_);
  ASSERT_TRUE(adapter.ok()) << adapter.status();
  ASSERT_EQ(adapter->replaced.size(), 3u);
  EXPECT_EQ(adapter->FindReplaced("blocks.1.att.r_k")->shape, (Shape{2, 6}));
  EXPECT_EQ(adapter->FindReplaced("blocks.1.att.r_k")->bytes(), kWidth * 4);
  EXPECT_EQ(adapter->FindReplaced("blocks.0.att.r_k"), nullptr);
}

TEST_F(AdapterPlanTest, OldBlocksOfOutputsAreAcceptedOnRequest) {
  const FakeFile flat = FakeFile().Add(kKey + ".bone", {kWidth, 4});
  EXPECT_FALSE(Load(flat, base_).ok());
  const auto adapter = Load(flat, base_, {.output_blocks = true});
  ASSERT_TRUE(adapter.ok()) << adapter.status();
  EXPECT_EQ(adapter->Methods(), "bat");
  EXPECT_FALSE(adapter->unmerged());
  const auto cubes =
      Load(FakeFile().Add(kKey + ".bone", {3, 4, 4}), base_, {.output_blocks = true});
  ASSERT_TRUE(cubes.ok()) << cubes.status();
  ParallelFor threads(1);
  EXPECT_EQ(*MergedTensor(*adapter, kKey + ".weight", base_, threads),
            *MergedTensor(*cubes, kKey + ".weight", base_, threads));
}

TEST_F(AdapterPlanTest, BlocksOfAHuggingFaceFolderAreOfItsKind) {
  PeftConfig peft;
  const FakeFile cubes = FakeFile().Add(kKey + ".miss_block", {3, 4, 4});
  EXPECT_THAT(std::string(Load(cubes, base_, {}, peft).status().message()),
              HasSubstr("adapter_config.json has no \"init_weights\": \"bat\""));
  peft.blocks = PeftConfig::Blocks::kBat;
  EXPECT_EQ(Load(cubes, base_, {}, peft)->Methods(), "bat");
  peft.blocks = PeftConfig::Blocks::kMini;
  peft.mini_width = 6;
  const FakeFile mini = FakeFile().Add(kKey + ".miss_block", {4, 6});
  EXPECT_EQ(Load(mini, base_, {}, peft)->linears[0].hooks.up.rows, 6);
  peft.mini_width = 4;
  EXPECT_THAT(std::string(Load(mini, base_, {}, peft).status().message()),
              HasSubstr("[r, mini_r] with mini_r = 4"));
}

}  // namespace
}  // namespace skein
