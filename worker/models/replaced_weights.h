// What an adapter replaces of a model's weights, through the model's own declarations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "worker/adapters/adapter.h"
#include "worker/weights/weight_loader.h"

namespace skein {

struct ReplacedWeights {
  std::unique_ptr<Arena> memory;
  int64_t bytes = 0;
};

// Points the views that `declare` gives a loader to the tensors of `adapter` where it has some, and
// leaves all others. Null memory if it replaces nothing. InvalidArgument for a tensor that nothing
// was declared for; ResourceExhausted.
absl::StatusOr<ReplacedWeights> LoadReplaced(const std::shared_ptr<const Adapter>& adapter,
                                             const Stream& stream,
                                             absl::FunctionRef<void(WeightLoader&)> declare);

// The linear layer that adapters know by the weight's name in the checkpoint: "blocks.3.att.key".
std::string NativeModule(absl::string_view weight);

}  // namespace skein
