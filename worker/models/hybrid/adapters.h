// Adapters of an hxa079 hybrid.
#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "kernels/device/stream.h"
#include "worker/adapters/bound_adapter.h"
#include "worker/models/hybrid/spec.h"
#include "worker/models/hybrid/weights.h"
#include "worker/models/replaced_weights.h"

namespace skein::hybrid {

struct ModelAdapter : BoundAdapter {
  Weights weights;  // the model's, and in their place those that it replaces
  ReplacedWeights replaced;
};

// Errors as Model::Bind has them. `weights` are the model's, which must outlive the result's use.
absl::StatusOr<std::shared_ptr<const ModelAdapter>> Bind(std::shared_ptr<const Adapter> adapter,
                                                         const Spec& spec, const Weights& weights,
                                                         const Stream& stream);

}  // namespace skein::hybrid
