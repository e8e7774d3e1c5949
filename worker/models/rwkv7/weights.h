// The tensors of an RWKV-7 model.
#pragma once

#include <vector>

#include "common/tensor/tensor_view.h"
#include "kernels/linear/weight_matrix.h"
#include "worker/layers/channel_mix_v7.h"
#include "worker/layers/time_mix_v7.h"
#include "worker/models/rwkv7/spec.h"
#include "worker/weights/weight_loader.h"

namespace skein::rwkv7 {

struct LayerWeights {
  TimeMixV7Weights time_mix;
  ChannelMixV7Weights channel_mix;
};

struct Weights {
  WeightMatrix embedding, head;                                // [V, D]
  TensorView<const float> first_norm_weight, first_norm_bias;  // ln0, [D]
  TensorView<const float> last_norm_weight, last_norm_bias;    // ln_out, [D]
  std::vector<LayerWeights> layers;
};

// How the backend wants them.
struct WeightLayout {
  bool value_input_major = false;  // the value matrix of the channel mix
};

// Declares every tensor of the model; `weights` gets its views when `loader` loads, and must stay
// where it is.
void Declare(const Spec& spec, const WeightLayout& layout, WeightLoader& loader, Weights& weights);

}  // namespace skein::rwkv7
