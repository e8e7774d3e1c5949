#include "tools/skein-bench/model_cost.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"

#include "common/tensor/shape.h"

namespace skein::bench {
namespace {

// A factor of a product: two true dimensions, and no vector by head.
bool IsMatrix(const random_model::PlannedTensor& tensor) {
  return tensor.shape.size() == 2 && !absl::EndsWith(tensor.name, "r_k");
}

}  // namespace

ModelCost CostOf(const random_model::ModelShape& shape, DType weights, int64_t state_bytes,
                 int64_t kv_bytes_per_token) {
  ModelCost cost;
  const auto item = static_cast<double>(DTypeBytes(weights));
  for (const random_model::PlannedTensor& tensor : random_model::PlanTensors(shape)) {
    const auto elements = static_cast<double>(NumElements(tensor.shape));
    if (tensor.name == "emb.weight" || tensor.name == "model.embed_tokens.weight") continue;
    cost.weight_bytes += elements * item;
    if (tensor.name == "head.weight" || tensor.name == "lm_head.weight") {
      cost.head_weights = elements;
      cost.head_bytes = elements * item;
    } else if (IsMatrix(tensor)) {
      cost.layer_weights += elements;
    }
    if (absl::EndsWith(tensor.name, "ffn.value.weight")) cost.value_bytes += elements * item;
  }
  cost.state_bytes = static_cast<double>(state_bytes);
  cost.kv_bytes_per_token = static_cast<double>(kv_bytes_per_token);
  return cost;
}

double DecodeFloorSeconds(const ModelCost& cost, int64_t rows, int64_t context, double live_share,
                          const Ceilings& ceilings) {
  const auto count = static_cast<double>(rows);
  const double weight_bytes = cost.weight_bytes - cost.value_bytes * (1.0 - live_share);
  const double flops = 2.0 * count * (cost.layer_weights + cost.head_weights);
  const double memory_bytes =
      count * (2.0 * cost.state_bytes + static_cast<double>(context) * cost.kv_bytes_per_token);
  return std::max(weight_bytes / ceilings.bytes_per_second, flops / ceilings.flops_per_second) +
         memory_bytes / ceilings.bytes_per_second;
}

double PrefillFloorSeconds(const ModelCost& cost, int64_t tokens, int64_t sequences,
                           const Ceilings& ceilings) {
  const double layers = 2.0 * static_cast<double>(tokens) * cost.layer_weights;
  const double head = 2.0 * static_cast<double>(sequences) * cost.head_weights;
  return std::max(cost.weight_bytes / ceilings.bytes_per_second,
                  (layers + head) / ceilings.flops_per_second);
}

}  // namespace skein::bench
