#include "worker/models/variants.h"

#include <initializer_list>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/models/checkpoint.h"

namespace skein {
namespace {

// A variant is what has all of the first names' parts and none of the second's. First match wins.
struct VariantRule {
  const char* variant;
  std::initializer_list<const char*> present;
  std::initializer_list<const char*> absent;
};

const VariantRule kRules[] = {
    {"hxa07b (language model of a vision model)", {"model.language_model."}, {}},
    {"hxa079 with mixture of experts (MoE)", {".experts.", ".self_attn.receptance"}, {}},
    {"a mixture-of-experts (MoE) model", {".experts."}, {}},
    {"RWKV-6 x060c", {"att.time_maa_rkvw_w1"}, {}},
    {"RWKV-6 x060a", {"att.time_maa_w1", "att.gate_w1"}, {"att.gate.weight"}},
    {"RWKV-6 x060", {"att.time_maa_w1"}, {}},
    {"RWKV-6 x060 with renamed tensors", {"att.time_mix_w1"}, {}},
    {"RWKV-6 x060 in the Hugging Face layout", {"attention.time_maa_w1"}, {}},
    {"RWKV-6 x060 in the fla layout", {"attn.x_proj.", "attn.w_proj."}, {}},
    {"RWKV-4 or RWKV-5", {"att.time_decay"}, {}},
    {"RWKV-4 or RWKV-5", {"attention.time_decay"}, {}},
    {"an x070a/x070b draft (deep embeddings)", {"ffn.s_emb"}, {}},
    {"an x070a/x070b draft (deep embeddings)", {"att.r_k", "ffn.s0"}, {}},
    {"an x080 draft (qkv layers)", {"att.r_k", "qkv."}, {}},
    {"ARWKV (token shift in a converted Transformer)", {"att.x_r", "ffn.down."}, {}},
    {"ARWKV (token shift in a converted Transformer)", {"self_attn.x_r", "mlp.down_proj."}, {}},
    {"cxa073", {"att.ln_x.", "ffn.down."}, {}},
    {"cxa075", {"att.k_k", "ffn.down."}, {}},
    {"QRWKV7 (RADLADS)",
     {"self_attn.q_proj.", "self_attn.w0", "self_attn.k_k"},
     {"self_attn.receptance"}},
    {"QRWKV7 (RADLADS)", {"self_attn.q_proj.", "self_attn.w0"}, {"self_attn.receptance"}},
    {"QRWKV6", {"self_attn.time_decay"}, {}},
    {"cxa076 (PRWKV) or hxa078", {"att.receptance.", "ffn.down."}, {"att.k0"}},
    {"cxa076 (PRWKV) or hxa078", {"att.receptance.", "ffn.gate_up."}, {}},
    {"hxa079 with a fused gate_up matrix", {"self_attn.receptance.", "gate_up_proj"}, {}},
    {"hxa07c", {"self_attn.receptance.", "self_attn.v1"}, {"self_attn.v0", "self_attn.k0"}},
    {"hxa07a", {"self_attn.receptance."}, {"self_attn.k0"}},
    {"a plain Transformer, without RWKV layers", {"self_attn.q_proj."}, {"self_attn.receptance."}},
};

bool Matches(const ModelFiles& files, const VariantRule& rule) {
  for (const char* part : rule.present) {
    if (!AnyNameContains(files, part)) return false;
  }
  for (const char* part : rule.absent) {
    if (AnyNameContains(files, part)) return false;
  }
  return true;
}

absl::Status Refused(absl::string_view variant) {
  return absl::UnimplementedError(
      absl::StrCat("the checkpoint is ", variant,
                   ", which skein does not run; it runs RWKV-7 x070 and dense hxa079 hybrids"));
}

// config.json names its architecture where nothing in the tensors tells relatives apart.
absl::StatusOr<std::string> ConfiguredArchitecture(const ModelFiles& files) {
  ASSIGN_OR_RETURN(const ModelConfig config, ModelConfig::Parse(files.config_json()));
  ASSIGN_OR_RETURN(std::optional<std::string> name, config.String("rwkv_architecture"));
  if (!name.has_value()) {
    ASSIGN_OR_RETURN(name, config.Section("text_config").String("rwkv_architecture"));
  }
  return name.value_or("");
}

}  // namespace

absl::Status RefuseKnownVariants(const ModelFiles& files) {
  ASSIGN_OR_RETURN(const std::string architecture, ConfiguredArchitecture(files));
  if (!architecture.empty() && architecture != "hxa079" && architecture != "x070") {
    return Refused(
        absl::StrCat(absl::CHexEscape(architecture), " (rwkv_architecture in config.json)"));
  }
  for (const VariantRule& rule : kRules) {
    if (Matches(files, rule)) return Refused(rule.variant);
  }
  return absl::OkStatus();
}

}  // namespace skein
