// The shapes of real models, and the tensors that a model of a shape consists of. What make-model
// writes to files and skein-bench holds in memory is made of these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/tensor/shape.h"

namespace skein::random_model {

// Letters as in docs/models/rwkv7.md and docs/models/hybrid.md. Heads have kv_heads == heads in
// rwkv7 models.
struct ModelShape {
  std::string name;
  bool hybrid = false;  // hxa079, else x070
  int64_t layers = 0;
  int64_t width = 0;      // D
  int64_t heads = 0;      // H
  int64_t kv_heads = 0;   // KV
  int64_t head_dim = 0;   // N
  int64_t ffn_width = 0;  // F
  int64_t vocab = 0;      // V
  int64_t rank_w = 0, rank_a = 0, rank_v = 0, rank_k = 0, rank_g = 0;
  int64_t attention_every = 0;  // hybrids: of so many layers the last one is an attention layer
  // rwkv7: the share of the channel mix's hidden units that are exactly zero for a token, each
  // token having its own. Trained models have 0.85 to 0.9; weights around zero give 0.5.
  double ffn_zeros = 0.5;

  bool IsAttention(int64_t layer) const {
    return hybrid && layer % attention_every == attention_every - 1;
  }
};

// InvalidArgument, listing the names, if there is none of this name.
absl::StatusOr<ModelShape> FindShape(absl::string_view name);
// For --help: a line per shape.
std::string DescribeShapes();
// InvalidArgument if the number of layers, the vocabulary or the share of zeros cannot be made.
absl::Status ValidateShape(const ModelShape& shape);

// How the values of a tensor are drawn: mean + spread * uniform(-1, 1), where the mean may rise
// along the last dimension from `mean` to `mean_end`, slowly first.
struct Distribution {
  float mean = 0.0f;
  float spread = 0.0f;
  float mean_end = 0.0f;  // used if `ramp` > 0
  float ramp = 0.0f;      // exponent
  float gap = 0.0f;       // moves what is below the mean down, and what is above it up
  std::optional<float> first_column = std::nullopt;  // what stands first along the last dimension
};

struct PlannedTensor {
  std::string name;
  Shape shape;
  Distribution values;
};

// All tensors, in the order of the network, with distributions that keep activations near 1 through
// all layers and spread decays and gates as trained models do.
std::vector<PlannedTensor> PlanTensors(const ModelShape& shape);

}  // namespace skein::random_model
