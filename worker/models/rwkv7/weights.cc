#include "worker/models/rwkv7/weights.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace skein::rwkv7 {
namespace {

// Declares the tensors of one layer under their names in the checkpoint.
class LayerDecl {
 public:
  LayerDecl(const Spec& spec, int64_t layer, WeightLoader& loader)
      : spec_(spec), layer_(layer), loader_(loader) {}

  void Vector(absl::string_view name, int64_t size, TensorView<const float>* out) {
    loader_.Vector({Name(name)}, {size}, out);
  }
  void Matrix(absl::string_view name, int64_t rows, int64_t cols, WeightMatrix* out,
              const TensorOptions& options = {}) {
    loader_.Matrix({Name(name)}, rows, cols, out, options);
  }
  // Both factors, which BlinkDL's files hold transposed.
  void LowRank(absl::string_view letter, int64_t rank, WeightMatrix* in, WeightMatrix* out) {
    const TensorOptions options = {.transposed = spec_.naming == Naming::kBlinkDl};
    loader_.Matrix({Name(absl::StrCat("att.", letter, "1"))}, rank, spec_.width, in, options);
    loader_.Matrix({Name(absl::StrCat("att.", letter, "2"))}, spec_.att_width(), rank, out,
                   options);
  }
  std::string Name(absl::string_view name) const { return LayerName(spec_.naming, layer_, name); }

 private:
  const Spec& spec_;
  const int64_t layer_;
  WeightLoader& loader_;
};

void DeclareTimeMix(const Spec& spec, int64_t layer, LayerDecl& decl, WeightLoader& loader,
                    TimeMixV7Weights& w) {
  const int64_t width = spec.width, att = spec.att_width();
  const Ranks& ranks = spec.layers[layer];
  w.norm_eps = spec.norm_eps;
  w.group_norm_eps = spec.group_norm_eps;
  decl.Vector("ln1.weight", width, &w.norm_weight);
  decl.Vector("ln1.bias", width, &w.norm_bias);
  constexpr const char* kMixNames[] = {"att.x_r", "att.x_w", "att.x_k",
                                       "att.x_v", "att.x_a", "att.x_g"};
  for (int i = 0; i < TimeMixInArgs::kNumInputs; ++i) decl.Vector(kMixNames[i], width, &w.mix[i]);
  decl.Matrix("att.receptance.weight", att, width, &w.receptance);
  decl.Matrix("att.key.weight", att, width, &w.key);
  decl.Matrix("att.value.weight", att, width, &w.value);
  decl.Matrix("att.output.weight", width, att, &w.output);
  decl.LowRank("w", ranks.w, &w.w1, &w.w2);
  decl.LowRank("a", ranks.a, &w.a1, &w.a2);
  decl.LowRank("g", ranks.g, &w.g1, &w.g2);
  decl.Vector("att.w0", att, &w.w0);
  decl.Vector("att.a0", att, &w.a0);
  if (layer > 0) {
    decl.LowRank("v", ranks.v, &w.v1, &w.v2);
    decl.Vector("att.v0", att, &w.v0);
  } else {
    for (const char* name : {"att.v0", "att.v1", "att.v2"}) loader.Ignore(decl.Name(name));
  }
  decl.Vector("att.k_k", att, &w.k_k);
  decl.Vector("att.k_a", att, &w.k_a);
  loader.Vector({decl.Name("att.r_k")}, {spec.heads, spec.head_size}, &w.r_k);
  decl.Vector("att.ln_x.weight", att, &w.group_norm_weight);
  decl.Vector("att.ln_x.bias", att, &w.group_norm_bias);
}

void DeclareChannelMix(const Spec& spec, const WeightLayout& layout, LayerDecl& decl,
                       ChannelMixV7Weights& w) {
  w.norm_eps = spec.norm_eps;
  decl.Vector("ln2.weight", spec.width, &w.norm_weight);
  decl.Vector("ln2.bias", spec.width, &w.norm_bias);
  decl.Vector("ffn.x_k", spec.width, &w.mix);
  decl.Matrix("ffn.key.weight", spec.ffn_width, spec.width, &w.key);
  decl.Matrix("ffn.value.weight", spec.width, spec.ffn_width, &w.value,
              {.input_major = layout.value_input_major});
}

}  // namespace

void Declare(const Spec& spec, const WeightLayout& layout, WeightLoader& loader, Weights& weights) {
  const auto global = [&](absl::string_view name) { return GlobalName(spec.naming, name); };
  // fla allows models without ln0, and a head that is the embedding.
  const TensorOptions fla_optional = {.optional = spec.naming == Naming::kFla};
  loader.Matrix({global("emb.weight")}, spec.vocab_size, spec.width, &weights.embedding);
  loader.Matrix({global("head.weight")}, spec.vocab_size, spec.width, &weights.head, fla_optional);
  loader.Vector({LayerName(spec.naming, 0, "ln0.weight")}, {spec.width}, &weights.first_norm_weight,
                fla_optional);
  loader.Vector({LayerName(spec.naming, 0, "ln0.bias")}, {spec.width}, &weights.first_norm_bias,
                fla_optional);
  loader.Vector({global("ln_out.weight")}, {spec.width}, &weights.last_norm_weight);
  loader.Vector({global("ln_out.bias")}, {spec.width}, &weights.last_norm_bias);
  weights.layers.resize(spec.layers.size());
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    LayerDecl decl(spec, i, loader);
    DeclareTimeMix(spec, i, decl, loader, weights.layers[i].time_mix);
    DeclareChannelMix(spec, layout, decl, weights.layers[i].channel_mix);
  }
}

}  // namespace skein::rwkv7
