#include "worker/models/hybrid/weights.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace skein::hybrid {
namespace {

// Declares the tensors of one layer under their names in the checkpoint.
class LayerDecl {
 public:
  LayerDecl(const Spec& spec, int64_t layer, WeightLoader& loader)
      : spec_(spec), layer_(layer), loader_(loader) {}

  void Vector(absl::string_view name, int64_t size, TensorView<const float>* out) {
    loader_.Vector({Name(name)}, {size}, out);
  }
  void Optional(absl::string_view name, int64_t size, TensorView<const float>* out) {
    loader_.Vector({Name(name)}, {size}, out, {.optional = true});
  }
  void Matrix(absl::string_view name, int64_t rows, int64_t cols, WeightMatrix* out) {
    loader_.Matrix({Name(name)}, rows, cols, out);
  }
  // Bias and both factors of a low-rank map, which files hold as [in, rank] and [rank, out].
  void LowRank(absl::string_view letter, int64_t rank, int64_t outputs, WeightMatrix* in,
               WeightMatrix* out) {
    const std::string prefix = absl::StrCat("self_attn.", letter);
    loader_.Matrix({Name(prefix + "1")}, rank, spec_.width, in, {.transposed = true});
    loader_.Matrix({Name(prefix + "2")}, outputs, rank, out, {.transposed = true});
  }
  void Ignore(absl::string_view name) { loader_.Ignore(Name(name)); }
  std::string Name(absl::string_view name) const { return LayerName(spec_.naming, layer_, name); }

 private:
  const Spec& spec_;
  const int64_t layer_;
  WeightLoader& loader_;
};

void DeclareMixing(const Spec& spec, const LayerSpec& layer, LayerDecl& decl, HybridMixWeights& w) {
  if (layer.first_rwkv) {
    for (const char* name : {"k0", "k1", "k2", "v0", "v1", "v2"}) {
      decl.Ignore(absl::StrCat("self_attn.", name));
    }
    return;
  }
  decl.LowRank("k", layer.k, spec.kv_width(), &w.k1, &w.k2);
  decl.LowRank("v", layer.v, spec.kv_width(), &w.v1, &w.v2);
  decl.Vector("self_attn.k0", spec.kv_width(), &w.k0);
  decl.Vector("self_attn.v0", spec.kv_width(), &w.v0);
}

void DeclareMix(const Spec& spec, const LayerSpec& layer, LayerDecl& decl, WeightLoader& loader,
                HybridMixWeights& w) {
  const int64_t width = spec.width, wide = spec.r_width(), narrow = spec.kv_width();
  w.norm_eps = spec.rms_norm_eps;
  decl.Vector("input_layernorm.weight", width, &w.norm_weight);
  decl.Matrix("self_attn.receptance.weight", wide, width, &w.receptance);
  decl.Matrix("self_attn.key.weight", narrow, width, &w.key);
  decl.Matrix("self_attn.value.weight", narrow, width, &w.value);
  decl.Matrix("self_attn.output.weight", width, wide, &w.output);
  decl.Optional("self_attn.receptance.bias", wide, &w.receptance_bias);
  decl.Optional("self_attn.key.bias", narrow, &w.key_bias);
  decl.Optional("self_attn.value.bias", narrow, &w.value_bias);
  decl.Optional("self_attn.output.bias", width, &w.output_bias);
  decl.Optional("self_attn.r_norm.weight", spec.head_dim, &w.r_norm);
  decl.Optional("self_attn.k_norm.weight", spec.head_dim, &w.k_norm);
  decl.LowRank("w", layer.w, wide, &w.w1, &w.w2);
  decl.LowRank("a", layer.a, wide, &w.a1, &w.a2);
  decl.LowRank("g", layer.g, wide, &w.g1, &w.g2);
  decl.Vector("self_attn.w0", wide, &w.w0);
  decl.Vector("self_attn.a0", wide, &w.a0);
  loader.Vector({decl.Name("self_attn.r_k")}, {spec.heads, spec.head_dim}, &w.r_k);
  DeclareMixing(spec, layer, decl, w);
}

void DeclareAttention(const Spec& spec, LayerDecl& decl, AttentionWeights& w) {
  const int64_t width = spec.width, wide = spec.r_width(), narrow = spec.kv_width();
  w.norm_eps = spec.rms_norm_eps;
  decl.Vector("input_layernorm.weight", width, &w.norm_weight);
  decl.Matrix("self_attn.q_proj.weight", wide, width, &w.query);
  decl.Matrix("self_attn.k_proj.weight", narrow, width, &w.key);
  decl.Matrix("self_attn.v_proj.weight", narrow, width, &w.value);
  decl.Matrix("self_attn.o_proj.weight", width, wide, &w.output);
  decl.Optional("self_attn.q_proj.bias", wide, &w.query_bias);
  decl.Optional("self_attn.k_proj.bias", narrow, &w.key_bias);
  decl.Optional("self_attn.v_proj.bias", narrow, &w.value_bias);
  decl.Optional("self_attn.o_proj.bias", width, &w.output_bias);
  decl.Optional("self_attn.q_norm.weight", spec.head_dim, &w.query_norm);
  decl.Optional("self_attn.k_norm.weight", spec.head_dim, &w.key_norm);
}

void DeclareMlp(const Spec& spec, LayerDecl& decl, GatedMlpWeights& w) {
  w.norm_eps = spec.rms_norm_eps;
  decl.Vector("post_attention_layernorm.weight", spec.width, &w.norm_weight);
  decl.Matrix("mlp.gate_proj.weight", spec.ffn_width, spec.width, &w.gate);
  decl.Matrix("mlp.up_proj.weight", spec.ffn_width, spec.width, &w.up);
  decl.Matrix("mlp.down_proj.weight", spec.width, spec.ffn_width, &w.down);
}

}  // namespace

void Declare(const Spec& spec, WeightLoader& loader, Weights& weights) {
  const auto global = [&](absl::string_view name) { return GlobalName(spec.naming, name); };
  loader.Matrix({global("model.embed_tokens.weight")}, spec.vocab_size, spec.width,
                &weights.embedding);
  loader.Matrix({global("lm_head.weight")}, spec.vocab_size, spec.width, &weights.head,
                {.optional = true});
  loader.Vector({global("model.norm.weight")}, {spec.width}, &weights.last_norm);
  weights.layers.resize(spec.layers.size());
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    LayerDecl decl(spec, i, loader);
    LayerWeights& layer = weights.layers[i];
    if (spec.layers[i].attention) {
      DeclareAttention(spec, decl, layer.attention);
    } else {
      DeclareMix(spec, spec.layers[i], decl, loader, layer.mix);
    }
    DeclareMlp(spec, decl, layer.mlp);
    // Left behind by training.
    decl.Ignore("self_attn.layer_architecture");
    decl.Ignore("self_attn.head_size_record");
  }
}

absl::Status CheckPairs(const Spec& spec, const Weights& weights) {
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    const LayerWeights& layer = weights.layers[i];
    if (layer.mix.r_norm.empty() != layer.mix.k_norm.empty() ||
        layer.attention.query_norm.empty() != layer.attention.key_norm.empty()) {
      return absl::DataLossError(
          absl::StrCat("layer ", i, ": has one of the two head norms, expected both or none"));
    }
  }
  return absl::OkStatus();
}

}  // namespace skein::hybrid
