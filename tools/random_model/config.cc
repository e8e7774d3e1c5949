#include "tools/random_model/config.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace skein::random_model {
namespace {

absl::string_view TorchName(DType dtype) {
  switch (dtype) {
    case DType::kBF16:
      return "bfloat16";
    case DType::kF16:
      return "float16";
    default:
      return "float32";
  }
}

// Indices of the layers that are, or are not, attention layers.
std::string LayerList(const ModelShape& shape, bool attention) {
  std::vector<int64_t> layers;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    if (shape.IsAttention(layer) == attention) layers.push_back(layer);
  }
  return absl::StrCat("[", absl::StrJoin(layers, ", "), "]");
}

}  // namespace

std::string ConfigJson(const ModelShape& shape, DType dtype) {
  std::string text = R"({
  "architectures": ["RWKV079Qwen3ForCausalLM"],
  "model_type": "rwkv079qwen3",
  "description": "random weights, for load tests and benchmarks",
  "rwkv_architecture": "hxa079",
  "enable_qk_norm": true,
  "nope_in_transformer": true,
  "nope_in_rwkv": false,
  "attention_bias": false,
  "hidden_act": "silu",
  "max_position_embeddings": 40960,
  "rms_norm_eps": 1e-06,
  "rope_scaling": null,
  "rope_theta": 1000000.0,
  "tie_word_embeddings": false,
)";
  const auto add = [&](const char* key, const auto& value) {
    absl::StrAppend(&text, "  \"", key, "\": ", value, ",\n");
  };
  add("transformer_layers", LayerList(shape, true));
  add("rwkv_layers", LayerList(shape, false));
  add("num_hidden_layers", shape.layers);
  add("hidden_size", shape.width);
  add("intermediate_size", shape.ffn_width);
  add("num_attention_heads", shape.heads);
  add("num_key_value_heads", shape.kv_heads);
  add("head_dim", shape.head_dim);
  add("vocab_size", shape.vocab);
  add("lora_rank_decay", shape.rank_w);
  add("lora_rank_iclr", shape.rank_a);
  add("lora_rank_value_residual_mix", shape.rank_v);
  add("lora_rank_key_residual_mix", shape.rank_k);
  add("lora_rank_gate", shape.rank_g);
  add("bos_token_id", shape.vocab - 3);
  add("eos_token_id", shape.vocab - 1);
  absl::StrAppend(&text, "  \"torch_dtype\": \"", TorchName(dtype), "\"\n}\n");
  return text;
}

std::string GenerationConfigJson(const ModelShape& shape) {
  return absl::StrCat("{\n  \"bos_token_id\": ", shape.vocab - 3, ",\n  \"eos_token_id\": [",
                      shape.vocab - 1, ", ", shape.vocab - 3, "]\n}\n");
}

}  // namespace skein::random_model
