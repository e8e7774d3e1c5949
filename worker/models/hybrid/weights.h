// The tensors of an hxa079 hybrid.
#pragma once

#include <vector>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/attention.h"
#include "worker/layers/gated_mlp.h"
#include "worker/layers/hybrid_mix.h"
#include "worker/models/hybrid/spec.h"
#include "worker/weights/weight_loader.h"

namespace skein::hybrid {

struct LayerWeights {
  HybridMixWeights mix;        // of RWKV layers
  AttentionWeights attention;  // of attention layers
  GatedMlpWeights mlp;
};

struct Weights {
  WeightMatrix embedding;             // [V, D]
  WeightMatrix head;                  // [V, D]; empty if the checkpoint has none: tied
  TensorView<const float> last_norm;  // [D]
  std::vector<LayerWeights> layers;
};

// Declares every tensor of the model; `weights` gets its views when `loader` loads, and must stay
// where it is.
void Declare(const Spec& spec, WeightLoader& loader, Weights& weights);

// After loading: DataLoss if only one of two tensors that belong together is there.
absl::Status CheckPairs(const Spec& spec, const Weights& weights);

}  // namespace skein::hybrid
