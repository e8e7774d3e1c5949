// Hyper-parameters of an RWKV-7 (x070) checkpoint, read from its tensors' names and shapes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/weights/model_files.h"

namespace skein::rwkv7 {

// How the checkpoint names its tensors: as BlinkDL's trainer, or as flash-linear-attention.
enum class Naming { kBlinkDl, kFla };

// Widths of the low-rank maps of one layer.
struct Ranks {
  int64_t w = 0, a = 0, g = 0;
  int64_t v = 0;  // 0 in layer 0, which has none
};

struct Spec {
  Naming naming = Naming::kBlinkDl;
  int64_t vocab_size = 0;  // V
  int64_t width = 0;       // D
  int64_t heads = 0;       // H
  int64_t head_size = 0;   // N
  int64_t ffn_width = 0;   // F
  float norm_eps = 1e-5f;
  float group_norm_eps = 64e-5f;
  std::vector<Ranks> layers;

  int64_t num_layers() const { return static_cast<int64_t>(layers.size()); }
  int64_t att_width() const { return heads * head_size; }  // A
  int64_t max_rank() const;
};

// The name that `naming` gives to a tensor of BlinkDL's: "emb.weight", or a layer's
// "att.key.weight".
std::string GlobalName(Naming naming, absl::string_view name);
std::string LayerName(Naming naming, int64_t layer, absl::string_view name);

// Whether the tensors' names are those of x070.
bool IsX070(const ModelFiles& files);

// DataLoss, naming the tensor, if a size cannot be read or sizes contradict each other;
// Unimplemented for head sizes beyond 512.
absl::StatusOr<Spec> ReadSpec(const ModelFiles& files);

}  // namespace skein::rwkv7
