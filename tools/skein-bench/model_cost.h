// What a step of a model must move and multiply at least, and how long that takes at best.
#pragma once

#include <cstdint>

#include "common/tensor/dtype.h"
#include "tools/random_model/shapes.h"

namespace skein::bench {

// What a machine can do at best.
struct Ceilings {
  double bytes_per_second = 0;  // of memory, reading and writing together
  double flops_per_second = 0;  // of products in the weights' type
};

struct ModelCost {
  // Bytes of all weights that every step reads: all but the embedding, of which it looks up rows.
  double weight_bytes = 0;
  // The part of them that is read only for hidden units that are not zero: one row of the
  // transposed channel-mix value matrix for each unit. 0 in hybrids.
  double value_bytes = 0;
  double head_bytes = 0;     // the part that only sampled rows need
  double layer_weights = 0;  // elements of the matrices of all layers: two operations each per row
  double head_weights = 0;
  double state_bytes = 0;         // of one sequence's record
  double kv_bytes_per_token = 0;  // over all attention layers
};

ModelCost CostOf(const random_model::ModelShape& shape, DType weights, int64_t state_bytes,
                 int64_t kv_bytes_per_token);

// One decode step of `rows` sequences with `context` tokens of keys and values each, of which
// `live_share` of the hidden units is not zero in at least one row. Weights stream while they are
// multiplied, so the longer of the two counts; states and pages come on top, because within a layer
// they depend on the products and the products on them.
double DecodeFloorSeconds(const ModelCost& cost, int64_t rows, int64_t context, double live_share,
                          const Ceilings& ceilings);

// Prompts of `tokens` tokens in all, of which `sequences` rows reach the head. Attention itself is
// not counted.
double PrefillFloorSeconds(const ModelCost& cost, int64_t tokens, int64_t sequences,
                           const Ceilings& ceilings);

}  // namespace skein::bench
