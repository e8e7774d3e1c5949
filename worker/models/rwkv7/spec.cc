#include "worker/models/rwkv7/spec.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "worker/models/checkpoint.h"

namespace skein::rwkv7 {
namespace {

constexpr int64_t kMaxHeadSize = 512;

using NamePair = std::pair<absl::string_view, absl::string_view>;  // BlinkDL, fla

constexpr NamePair kGlobalNames[] = {
    {"emb.weight", "model.embeddings.weight"},
    {"ln_out.weight", "model.norm.weight"},
    {"ln_out.bias", "model.norm.bias"},
    {"head.weight", "lm_head.weight"},
};

constexpr NamePair kLayerNames[] = {
    {"ln0.weight", "pre_norm.weight"},
    {"ln0.bias", "pre_norm.bias"},
    {"ln1.weight", "attn_norm.weight"},
    {"ln1.bias", "attn_norm.bias"},
    {"ln2.weight", "ffn_norm.weight"},
    {"ln2.bias", "ffn_norm.bias"},
    {"att.w0", "attn.w_lora.lora.2.bias"},
    {"att.w1", "attn.w_lora.lora.0.weight"},
    {"att.w2", "attn.w_lora.lora.2.weight"},
    {"att.a0", "attn.a_lora.lora.2.bias"},
    {"att.a1", "attn.a_lora.lora.0.weight"},
    {"att.a2", "attn.a_lora.lora.2.weight"},
    {"att.v0", "attn.v_lora.lora.2.bias"},
    {"att.v1", "attn.v_lora.lora.0.weight"},
    {"att.v2", "attn.v_lora.lora.2.weight"},
    {"att.g1", "attn.g_lora.lora.0.weight"},
    {"att.g2", "attn.g_lora.lora.2.weight"},
    {"att.receptance.weight", "attn.r_proj.weight"},
    {"att.key.weight", "attn.k_proj.weight"},
    {"att.value.weight", "attn.v_proj.weight"},
    {"att.output.weight", "attn.o_proj.weight"},
    {"att.ln_x.weight", "attn.g_norm.weight"},
    {"att.ln_x.bias", "attn.g_norm.bias"},
    {"att.x_r", "attn.x_r"},
    {"att.x_w", "attn.x_w"},
    {"att.x_k", "attn.x_k"},
    {"att.x_v", "attn.x_v"},
    {"att.x_a", "attn.x_a"},
    {"att.x_g", "attn.x_g"},
    {"att.k_k", "attn.k_k"},
    {"att.k_a", "attn.k_a"},
    {"att.r_k", "attn.r_k"},
};

template <size_t kCount>
absl::string_view Translated(const NamePair (&names)[kCount], absl::string_view name) {
  for (const auto& [blink, fla] : names) {
    if (blink == name) return fla;
  }
  return name;  // the ffn tensors are called the same
}

// Low-rank factors are [in, rank] in BlinkDL's files, [rank, in] in fla's.
absl::StatusOr<int64_t> RankOf(const ModelFiles& files, Naming naming, int64_t layer,
                               absl::string_view name) {
  ASSIGN_OR_RETURN(const Shape shape, TensorShape(files, LayerName(naming, layer, name), 2));
  return naming == Naming::kBlinkDl ? shape[1] : shape[0];
}

absl::StatusOr<Ranks> RanksOf(const ModelFiles& files, Naming naming, int64_t layer) {
  Ranks ranks;
  ASSIGN_OR_RETURN(ranks.w, RankOf(files, naming, layer, "att.w1"));
  ASSIGN_OR_RETURN(ranks.a, RankOf(files, naming, layer, "att.a1"));
  ASSIGN_OR_RETURN(ranks.g, RankOf(files, naming, layer, "att.g1"));
  if (layer > 0) {
    ASSIGN_OR_RETURN(ranks.v, RankOf(files, naming, layer, "att.v1"));
  }
  return ranks;
}

// What only the config.json of the fla layout says.
absl::Status ReadFlaConfig(const ModelFiles& files, Spec& spec) {
  ASSIGN_OR_RETURN(const ModelConfig config, ModelConfig::Parse(files.config_json()));
  ASSIGN_OR_RETURN(const std::optional<double> eps, config.Number("norm_eps"));
  spec.norm_eps = static_cast<float>(eps.value_or(1e-5));
  spec.group_norm_eps =
      static_cast<float>(static_cast<double>(spec.head_size) * eps.value_or(1e-5));
  ASSIGN_OR_RETURN(const std::optional<int64_t> layers, config.Integer("num_hidden_layers"));
  if (layers.has_value() && *layers != spec.num_layers()) {
    return absl::DataLossError(absl::StrFormat(
        "config.json: num_hidden_layers is %d, the tensors have %d", *layers, spec.num_layers()));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t Spec::max_rank() const {
  int64_t largest = 0;
  for (const Ranks& ranks : layers) {
    largest = std::max({largest, ranks.w, ranks.a, ranks.g, ranks.v});
  }
  return largest;
}

std::string GlobalName(Naming naming, absl::string_view name) {
  return std::string(naming == Naming::kFla ? Translated(kGlobalNames, name) : name);
}

std::string LayerName(Naming naming, int64_t layer, absl::string_view name) {
  return naming == Naming::kFla
             ? absl::StrCat("model.layers.", layer, ".", Translated(kLayerNames, name))
             : absl::StrCat("blocks.", layer, ".", name);
}

bool IsX070(const ModelFiles& files) {
  for (const Naming naming : {Naming::kBlinkDl, Naming::kFla}) {
    if (files.Find(LayerName(naming, 0, "att.r_k")) != nullptr &&
        files.Find(LayerName(naming, 0, "att.receptance.weight")) != nullptr &&
        files.Find(LayerName(naming, 0, "ffn.key.weight")) != nullptr) {
      return true;
    }
  }
  return false;
}

absl::StatusOr<Spec> ReadSpec(const ModelFiles& files) {
  Spec spec;
  const bool blink = files.Find(GlobalName(Naming::kBlinkDl, "emb.weight")) != nullptr;
  spec.naming = blink ? Naming::kBlinkDl : Naming::kFla;
  ASSIGN_OR_RETURN(const Shape embedding,
                   TensorShape(files, GlobalName(spec.naming, "emb.weight"), 2));
  spec.vocab_size = embedding[0];
  spec.width = embedding[1];
  ASSIGN_OR_RETURN(const Shape heads, TensorShape(files, LayerName(spec.naming, 0, "att.r_k"), 2));
  spec.heads = heads[0];
  spec.head_size = heads[1];
  if (spec.head_size > kMaxHeadSize) {
    return absl::UnimplementedError(
        absl::StrCat("head size ", spec.head_size, ", at most ", kMaxHeadSize));
  }
  ASSIGN_OR_RETURN(const Shape ffn,
                   TensorShape(files, LayerName(spec.naming, 0, "ffn.key.weight"), 2));
  spec.ffn_width = ffn[0];
  ASSIGN_OR_RETURN(const int64_t layers, CountLayers(files, blink ? "blocks." : "model.layers."));
  for (int64_t i = 0; i < layers; ++i) {
    ASSIGN_OR_RETURN(const Ranks ranks, RanksOf(files, spec.naming, i));
    spec.layers.push_back(ranks);
  }
  if (!blink) RETURN_IF_ERROR(ReadFlaConfig(files, spec));
  return spec;
}

}  // namespace skein::rwkv7
