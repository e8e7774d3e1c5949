#include "worker/adapters/adapter_name.h"

#include "gtest/gtest.h"

namespace skein {
namespace {

using Kind = AdapterKey::Kind;
using Part = AdapterKey::Part;

TEST(AdapterNameTest, NamesOfOtherProgramsBecomeNativeOnes) {
  struct Case {
    const char* name;
    const char* native;
  };
  for (const Case& c : {
           Case{"blocks.3.att.key.weight", "blocks.3.att.key.weight"},
           {"model.blocks.3.att.key.weight", "blocks.3.att.key.weight"},
           {"base_model.model.blocks.3.att.x_r", "blocks.3.att.x_r"},
           {"base_model.model.model.layers.3.self_attn.key.weight", "blocks.3.att.key.weight"},
           {"model.layers.0.mlp.gate_up_proj.weight", "blocks.0.ffn.gate_up.weight"},
           {"model.layers.0.mlp.down_proj.weight", "blocks.0.ffn.down.weight"},
           {"model.layers.0.input_layernorm.weight", "blocks.0.ln1.weight"},
           {"model.layers.0.post_attention_layernorm.weight", "blocks.0.ln2.weight"},
           {"model.layers.0.self_attn.r_norm.weight", "blocks.0.att.ln_r.weight"},
           {"model.layers.0.self_attn.q_norm.weight", "blocks.0.att.ln_r.weight"},
           {"model.layers.0.self_attn.k_norm.weight", "blocks.0.att.ln_k.weight"},
           {"model.layers.0.self_attn.q_proj.weight", "blocks.0.att.q_proj.weight"},
           {"model.layers.0.self_attn.k_proj.weight", "blocks.0.att.k_proj.weight"},
           {"model.layers.0.attn.k_proj.weight", "blocks.0.att.key.weight"},
           {"model.layers.0.attn.o_proj.weight", "blocks.0.att.output.weight"},
           {"model.norm.weight", "ln_out.weight"},
           {"lm_head.weight", "head.weight"},
           {"model.embed_tokens.weight", "emb.weight"},
           // Whole components alone.
           {"blocks.0.ln_head.weight", "blocks.0.ln_head.weight"},
           {"blocks.0.my_mlp.norm", "blocks.0.my_mlp.norm"},
           {"blocks.0.ffn.layers.norm", "blocks.0.ffn.layers.norm"},
           {"model", "model"},
           {"", ""},
           {"...", "..."},
       }) {
    EXPECT_EQ(NativeName(c.name), c.native) << c.name;
  }
}

TEST(AdapterNameTest, PartsAreFoundBehindTheirModule) {
  struct Case {
    const char* name;
    const char* module;
    Part part;
  };
  for (const Case& c : {
           Case{"blocks.3.att.key.lora_A", "blocks.3.att.key", Part::kLoraA},
           {"head.lora_B", "head", Part::kLoraB},
           {"base_model.model.blocks.3.att.key.lora_A.weight", "blocks.3.att.key", Part::kLoraA},
           {"base_model.model.blocks.3.att.key.lora_A.default.weight", "blocks.3.att.key",
            Part::kLoraA},
           {"base_model.model.model.layers.3.mlp.up_proj.miss_block.default", "blocks.3.ffn.up",
            Part::kBlock},
           {"model.blocks.3.att.key.init_lora_B", "blocks.3.att.key", Part::kInitLoraB},
           {"blocks.3.att.key.lora_M", "blocks.3.att.key", Part::kColumnMagnitude},
           {"blocks.3.att.key.lora_magnitude_vector.weight", "blocks.3.att.key",
            Part::kRowMagnitude},
           {"blocks.3.att.key.disha", "blocks.3.att.key", Part::kBlock},
           {"blocks.3.att.key.bone_block", "blocks.3.att.key", Part::kBlock},
       }) {
    SCOPED_TRACE(c.name);
    const AdapterKey key = ParseAdapterKey(c.name);
    EXPECT_EQ(key.kind, Kind::kModule);
    EXPECT_EQ(key.module, c.module);
    EXPECT_EQ(key.part, c.part);
  }
  EXPECT_EQ(ParseAdapterKey("base_model.model.blocks.3.att.key.lora_A.weight").file_module,
            "base_model.model.blocks.3.att.key");
}

TEST(AdapterNameTest, OtherNamesAreWhatTheySay) {
  struct Case {
    const char* name;
    Kind kind;
    const char* module;
  };
  for (const Case& c : {
           Case{"blocks.0.att.time_state", Kind::kState, "blocks.0.att.time_state"},
           {"model.layers.0.self_attn.time_state", Kind::kState, "blocks.0.att.time_state"},
           {"blocks.0.ffn.ts_state", Kind::kState, "blocks.0.ffn.ts_state"},
           {"blocks.0.ffn.moe_info", Kind::kMoleInfo, "blocks.0.ffn"},
           {"blocks.0.ffn.router.linear.weight", Kind::kRouter, "blocks.0.ffn"},
           {"blocks.0.ffn.router.linear.bias", Kind::kOldRouter, "blocks.0.ffn"},
           {"blocks.0.ffn.expert_12.value.lora_A_expert_0", Kind::kExpert, "blocks.0.ffn"},
           {"blocks.0.ffn.expert_-1.value.lora_A_expert_0", Kind::kPlain, nullptr},
           {"blocks.0.ffn.expert_01.value.lora_A_expert_0", Kind::kPlain, nullptr},
           {"blocks.0.ffn.expert_1.gate.lora_A_expert_0", Kind::kPlain, nullptr},
           {"blocks.0.ffn.expert_1.key.lora_A_expert_1", Kind::kPlain, nullptr},
           {"blocks.0.ffn.router.weight", Kind::kPlain, nullptr},
           {"blocks.0.ffn.expert_99999999999999999999.key.lora_A_expert_0", Kind::kPlain, nullptr},
           {"blocks.0.att.key.lora_A.a.b.c", Kind::kPlain, nullptr},
           {"lora_A", Kind::kPlain, "lora_A"},
           {"blocks.0.att.key.weight", Kind::kPlain, "blocks.0.att.key.weight"},
       }) {
    SCOPED_TRACE(c.name);
    const AdapterKey key = ParseAdapterKey(c.name);
    EXPECT_EQ(key.kind, c.kind);
    EXPECT_EQ(key.module, c.module == nullptr ? std::string(c.name) : std::string(c.module));
  }
  const AdapterKey key = ParseAdapterKey("blocks.0.ffn.expert_12.value.lora_B_expert_0");
  EXPECT_EQ(key.expert, 12);
  EXPECT_TRUE(key.expert_value);
  EXPECT_EQ(key.part, Part::kLoraB);
}

}  // namespace
}  // namespace skein
