// Hyper-parameters of an hxa079 hybrid, read from config.json and from its tensors' names and
// shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/models/registry.h"
#include "worker/weights/model_files.h"

namespace skein::hybrid {

// How the checkpoint names its tensors: in the Hugging Face way, or as `.pth` files in BlinkDL's.
enum class Naming { kHuggingFace, kPth };

// A layer is an attention layer or an RWKV layer; the widths of the low-rank maps are those of RWKV
// layers.
struct LayerSpec {
  bool attention = false;
  bool first_rwkv = false;  // the one that has no mixing with the first
  int64_t w = 0, a = 0, g = 0;
  int64_t k = 0, v = 0;  // 0 in the first RWKV layer
};

struct Spec {
  Naming naming = Naming::kHuggingFace;
  int64_t vocab_size = 0;  // V
  int64_t width = 0;       // D
  int64_t heads = 0;       // H, of RWKV and attention layers alike
  int64_t kv_heads = 0;    // KV
  int64_t head_dim = 0;    // N
  int64_t ffn_width = 0;   // F
  float rms_norm_eps = 1e-6f;
  double rope_theta = 1e6;
  std::vector<LayerSpec> layers;

  int64_t num_layers() const { return static_cast<int64_t>(layers.size()); }
  int64_t num_attention_layers() const;
  int64_t r_width() const { return heads * head_dim; }      // C
  int64_t kv_width() const { return kv_heads * head_dim; }  // E
  int64_t max_rank() const;
};

// The name that `naming` gives to a tensor of Hugging Face's: "model.norm.weight", or a layer's
// "mlp.up_proj.weight".
std::string GlobalName(Naming naming, absl::string_view name);
std::string LayerName(Naming naming, int64_t layer, absl::string_view name);

// Whether the tensors' names are those of hxa079.
bool IsHxa079(const ModelFiles& files);

// DataLoss, naming the tensor or the config's key, if a size is missing or sizes contradict each
// other; Unimplemented for head sizes that the kernels do not take.
absl::StatusOr<Spec> ReadSpec(const ModelFiles& files, const ModelLoadOptions& options);

}  // namespace skein::hybrid
