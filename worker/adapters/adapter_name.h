// What the names in adapter files mean.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

// The name that BlinkDL's files would give the tensor: without the prefixes of training wrappers
// ("base_model.model.", "model."), with "blocks.3.att.key" for "model.layers.3.self_attn.key" and
// so on. Whole components are translated, never parts of them.
std::string NativeName(absl::string_view name);

// What one entry of an adapter file is.
struct AdapterKey {
  enum class Kind {
    kPlain,      // a tensor of the model itself, or unknown
    kModule,     // a part of what changes a linear layer
    kExpert,     // the same for one expert of a mixture
    kRouter,     // its router's weight
    kOldRouter,  // a router's bias: of a form that was given up
    kMoleInfo,   // how many experts there are and work
    kState,      // of a tuned state
  };
  enum class Part {
    kLoraA,
    kLoraB,
    kColumnMagnitude,  // lora_M
    kRowMagnitude,     // lora_magnitude_vector
    kInitLoraA,
    kInitLoraB,
    kBlock,  // bone, disha, bone_block, miss_block
    kEmbeddingLora,
  };

  Kind kind = Kind::kPlain;
  std::string module;  // "blocks.3.att.key"; of experts and routers "blocks.3.ffn"; else the tensor
  std::string file_module;   // of kModule: as the file calls it
  Part part = Part::kLoraA;  // of kModule and kExpert
  int64_t expert = 0;
  bool expert_value = false;  // the expert's value matrix, not its key
};

AdapterKey ParseAdapterKey(absl::string_view name);
// "lora_A", "block", ...
absl::string_view AdapterPartName(AdapterKey::Part part);

}  // namespace skein
