// A loaded adapter: what its file says about each layer of one model, ready to be applied.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "kernels/adapter/adapter_module.h"
#include "kernels/device/arena.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

enum class AdapterMethod : uint8_t {
  kLora,
  kPissa,
  kDora,         // magnitudes of input columns
  kDoraRows,     // magnitudes of output rows
  kBone,         // blocks of inputs
  kMiss,         // sums of inputs; also called DiSHA and Bone 2-D
  kBat,          // blocks of outputs
  kMole,         // mixture of LoRA experts
  kReplacement,  // tensors instead of the model's
  kState,        // a tuned state
};
absl::string_view AdapterMethodName(AdapterMethod method);  // "lora", "pissa", ...

struct AdaptedLinear {
  std::string module;  // "blocks.3.att.key", whose weight is `module`.weight
  AdapterMethod method = AdapterMethod::kLora;
  AdapterModule hooks;
};

struct AdaptedChannelMix {
  std::string module;  // "blocks.3.ffn"
  std::vector<MoleExperts::Expert> experts;
  MoleExperts mole;  // its `experts` are those above
};

// Takes the place of the model's tensor `name` before anything else is applied.
struct ReplacedTensor {
  std::string name;
  Shape shape;                // the model's
  DType dtype = DType::kF32;  // fp32, bf16 or fp16
  const void* data = nullptr;

  int64_t bytes() const { return NumElements(shape) * DTypeBytes(dtype); }
};

// Immutable once loaded, and shared by the registry and the requests that use it. All tensors but
// the state's lie in `memory`, in host memory; names are native ones (adapter_name.h), in order.
struct Adapter {
  std::vector<AdaptedLinear> linears;
  std::vector<AdaptedChannelMix> channel_mixes;
  std::vector<ReplacedTensor> replaced;
  std::vector<NamedTensor> state;  // of a tuned state that came in the same file
  std::unique_ptr<Arena> memory, state_memory;
  std::string content_hash;  // of what is applied, scaling and rules included, whatever the file
  std::vector<std::string> warnings;  // what a user should know though the adapter is fine

  // nullptr if the adapter leaves it as it is.
  const AdaptedLinear* FindLinear(absl::string_view module) const;
  const ReplacedTensor* FindReplaced(absl::string_view name) const;
  // Whether all of it can be applied beside the model's own weights.
  bool unmerged() const;
  // "lora", or all methods that it uses: "lora, replacement".
  std::string Methods() const;
  int64_t bytes() const;
};

}  // namespace skein
