#include "worker/models/hybrid/spec.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

#include "common/base/status_macros.h"
#include "worker/models/checkpoint.h"

namespace skein::hybrid {
namespace {

constexpr int64_t kMaxHeadDim = 512;

constexpr std::pair<absl::string_view, absl::string_view> kPthGlobals[] = {
    {"model.embed_tokens.weight", "emb.weight"},
    {"model.norm.weight", "ln_out.weight"},
    {"lm_head.weight", "head.weight"},
};

absl::Status Contradiction(absl::string_view what, int64_t found, int64_t wanted) {
  return absl::DataLossError(absl::StrCat(what, " is ", found, ", the tensors say ", wanted));
}

absl::Status CheckAgainst(const ModelConfig& config, absl::string_view key, int64_t tensors) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> value, config.Integer(key));
  if (!value.has_value() || *value == tensors) return absl::OkStatus();
  return Contradiction(absl::StrCat("config.json: ", key), *value, tensors);
}

bool HasTensor(const ModelFiles& files, Naming naming, int64_t layer, absl::string_view name) {
  return files.Find(LayerName(naming, layer, name)) != nullptr;
}

absl::Status ReadTensorSizes(const ModelFiles& files, Spec& spec) {
  ASSIGN_OR_RETURN(const Shape embedding,
                   TensorShape(files, GlobalName(spec.naming, "model.embed_tokens.weight"), 2));
  spec.vocab_size = embedding[0];
  spec.width = embedding[1];
  ASSIGN_OR_RETURN(const Shape gate,
                   TensorShape(files, LayerName(spec.naming, 0, "mlp.gate_proj.weight"), 2));
  spec.ffn_width = gate[0];
  return absl::OkStatus();
}

absl::StatusOr<LayerSpec> ReadLayer(const ModelFiles& files, Naming naming, int64_t i,
                                    bool first_rwkv) {
  LayerSpec layer;
  layer.attention = HasTensor(files, naming, i, "self_attn.q_proj.weight");
  if (layer.attention) return layer;
  layer.first_rwkv = first_rwkv;
  const auto rank = [&](absl::string_view name) -> absl::StatusOr<int64_t> {
    ASSIGN_OR_RETURN(const Shape shape, TensorShape(files, LayerName(naming, i, name), 2));
    return shape[1];
  };
  ASSIGN_OR_RETURN(layer.w, rank("self_attn.w1"));
  ASSIGN_OR_RETURN(layer.a, rank("self_attn.a1"));
  ASSIGN_OR_RETURN(layer.g, rank("self_attn.g1"));
  if (first_rwkv) return layer;
  ASSIGN_OR_RETURN(layer.k, rank("self_attn.k1"));
  ASSIGN_OR_RETURN(layer.v, rank("self_attn.v1"));
  return layer;
}

absl::Status ReadLayers(const ModelFiles& files, Spec& spec) {
  const bool hf = spec.naming == Naming::kHuggingFace;
  ASSIGN_OR_RETURN(const int64_t count, CountLayers(files, hf ? "model.layers." : "blocks."));
  bool rwkv_seen = false;
  for (int64_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const LayerSpec layer, ReadLayer(files, spec.naming, i, !rwkv_seen));
    rwkv_seen = rwkv_seen || !layer.attention;
    spec.layers.push_back(layer);
  }
  return absl::OkStatus();
}

// H, N and KV: from r_k and the key matrix of the first RWKV layer.
absl::Status ReadHeads(const ModelFiles& files, const ModelConfig& config, Spec& spec) {
  int64_t first = 0;
  while (spec.layers[first].attention) ++first;  // IsHxa079 saw an RWKV layer
  ASSIGN_OR_RETURN(const Shape r_k,
                   TensorShape(files, LayerName(spec.naming, first, "self_attn.r_k"), 2));
  ASSIGN_OR_RETURN(const Shape key,
                   TensorShape(files, LayerName(spec.naming, first, "self_attn.key.weight"), 2));
  spec.heads = r_k[0];
  spec.head_dim = r_k[1];
  spec.kv_heads = key[0] / spec.head_dim;
  if (spec.kv_heads == 0 || key[0] % spec.head_dim != 0 || spec.heads % spec.kv_heads != 0) {
    return absl::DataLossError(absl::StrCat(
        LayerName(spec.naming, first, "self_attn.key.weight"), ": shape ", ShapeString(key),
        " is not a number of heads of ", spec.head_dim, " that divides ", spec.heads));
  }
  if (spec.head_dim % 2 != 0 || spec.head_dim > kMaxHeadDim) {
    return absl::UnimplementedError(
        absl::StrCat("head size ", spec.head_dim, ", expected an even number up to ", kMaxHeadDim));
  }
  RETURN_IF_ERROR(CheckAgainst(config, "num_attention_heads", spec.heads));
  RETURN_IF_ERROR(CheckAgainst(config, "num_key_value_heads", spec.kv_heads));
  return CheckAgainst(config, "head_dim", spec.head_dim);
}

absl::Status CheckConfig(const ModelConfig& config, const Spec& spec) {
  RETURN_IF_ERROR(CheckAgainst(config, "num_hidden_layers", spec.num_layers()));
  RETURN_IF_ERROR(CheckAgainst(config, "hidden_size", spec.width));
  RETURN_IF_ERROR(CheckAgainst(config, "vocab_size", spec.vocab_size));
  RETURN_IF_ERROR(CheckAgainst(config, "intermediate_size", spec.ffn_width));
  ASSIGN_OR_RETURN(std::optional<std::vector<int64_t>> listed,
                   config.Integers("transformer_layers"));
  if (!listed.has_value()) return absl::OkStatus();
  std::vector<int64_t> found;
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    if (spec.layers[i].attention) found.push_back(i);
  }
  std::sort(listed->begin(), listed->end());
  if (*listed == std::vector<int64_t>{-1}) listed->clear();
  if (*listed == found) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("config.json: transformer_layers is [", absl::StrJoin(*listed, ", "),
                   "], the tensors have attention in [", absl::StrJoin(found, ", "), "]"));
}

absl::Status ReadNumbers(const ModelConfig& config, const ModelLoadOptions& options, Spec& spec) {
  ASSIGN_OR_RETURN(const std::optional<double> eps, config.Number("rms_norm_eps"));
  ASSIGN_OR_RETURN(const std::optional<double> theta, config.Number("rope_theta"));
  spec.rms_norm_eps = static_cast<float>(eps.value_or(options.rms_norm_eps.value_or(1e-6f)));
  spec.rope_theta = theta.value_or(options.rope_theta.value_or(1e6f));
  if (!(spec.rms_norm_eps > 0.0f)) {
    return absl::DataLossError(
        absl::StrCat("rms_norm_eps is ", spec.rms_norm_eps, ", expected over 0"));
  }
  if (!(spec.rope_theta > 1.0) || !std::isfinite(spec.rope_theta)) {
    return absl::DataLossError(
        absl::StrCat("rope_theta is ", spec.rope_theta, ", expected over 1"));
  }
  return absl::OkStatus();
}

}  // namespace

int64_t Spec::num_attention_layers() const {
  return std::count_if(layers.begin(), layers.end(),
                       [](const LayerSpec& l) { return l.attention; });
}

int64_t Spec::max_rank() const {
  int64_t largest = 0;
  for (const LayerSpec& l : layers) largest = std::max({largest, l.w, l.a, l.g, l.k, l.v});
  return largest;
}

std::string GlobalName(Naming naming, absl::string_view name) {
  for (const auto& [hf, pth] : kPthGlobals) {
    if (naming == Naming::kPth && hf == name) return std::string(pth);
  }
  return std::string(name);
}

std::string LayerName(Naming naming, int64_t layer, absl::string_view name) {
  if (naming == Naming::kHuggingFace) return absl::StrCat("model.layers.", layer, ".", name);
  return absl::StrCat("blocks.", layer, ".",
                      absl::StrReplaceAll(name, {{"self_attn.r_norm.", "att.ln_r."},
                                                 {"self_attn.q_norm.", "att.ln_r."},
                                                 {"self_attn.k_norm.", "att.ln_k."},
                                                 {"self_attn.", "att."},
                                                 {"mlp.gate_proj.", "ffn.gate."},
                                                 {"mlp.up_proj.", "ffn.up."},
                                                 {"mlp.down_proj.", "ffn.down."},
                                                 {"post_attention_layernorm.", "ln2."},
                                                 {"input_layernorm.", "ln1."}}));
}

bool IsHxa079(const ModelFiles& files) {
  return (AnyNameContains(files, ".self_attn.k0") && AnyNameContains(files, ".mlp.gate_proj.")) ||
         (AnyNameContains(files, ".att.k0") && AnyNameContains(files, ".ffn.gate."));
}

absl::StatusOr<Spec> ReadSpec(const ModelFiles& files, const ModelLoadOptions& options) {
  ASSIGN_OR_RETURN(const ModelConfig config, ModelConfig::Parse(files.config_json()));
  Spec spec;
  const bool pth = files.Find(GlobalName(Naming::kPth, "model.embed_tokens.weight")) != nullptr;
  spec.naming = pth ? Naming::kPth : Naming::kHuggingFace;
  RETURN_IF_ERROR(ReadTensorSizes(files, spec));
  RETURN_IF_ERROR(ReadLayers(files, spec));
  RETURN_IF_ERROR(ReadHeads(files, config, spec));
  RETURN_IF_ERROR(CheckConfig(config, spec));
  RETURN_IF_ERROR(ReadNumbers(config, options, spec));
  return spec;
}

}  // namespace skein::hybrid
