// What the entries of an adapter file amount to for one model, before any value is read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "worker/adapters/adapter.h"
#include "worker/adapters/base_tensors.h"
#include "worker/adapters/peft_config.h"
#include "worker/weights/tensor_entry.h"

namespace skein {

struct AdapterOptions {
  // What s of W + s B A is in files that do not say: `scaling` itself, or `alpha` / rank. At most
  // one of them; neither means 2. A Hugging Face folder says, and is overruled by them.
  std::optional<float> scaling = std::nullopt;
  std::optional<float> alpha = std::nullopt;
  int mole_rule = 2;
  // Blocks belong to groups of outputs though the file is a native one: trainings before
  // 2024-09-27.
  bool output_blocks = false;
};

struct LinearPlan {
  std::string module;
  AdapterMethod method = AdapterMethod::kLora;
  AdapterForm form = AdapterForm::kNone;
  int64_t outputs = 0, inputs = 0, rank = 0;  // of PiSSA the rank of both pairs together
  float scale = 1;
  // What the method has: A and B, the initial ones, the magnitudes, or the blocks.
  std::optional<TensorEntry> a, b, init_a, init_b, magnitude, block;
};

struct MolePlan {
  std::string module;
  int64_t active = 0;
  TensorEntry router;
  std::vector<LinearPlan> keys, values;  // by expert
};

// Sorted by name. Entries point to where those of the files did.
struct AdapterPlan {
  std::vector<LinearPlan> linears;
  std::vector<MolePlan> channel_mixes;
  struct Replacement {
    std::string name;
    Shape shape;
    TensorEntry entry;
  };
  std::vector<Replacement> replaced;
  std::vector<NamedTensor> state;
  std::vector<std::string> warnings;
};

// InvalidArgument that lists what does not fit: entries that belong to nothing, parts that are
// missing or come twice, shapes that disagree with each other or with the model, types that are no
// weights, methods that this model cannot have. Unimplemented for forms that are recognised but not
// supported.
absl::StatusOr<AdapterPlan> PlanAdapter(std::span<const NamedTensor> tensors,
                                        const std::optional<PeftConfig>& peft,
                                        const AdapterOptions& options, const BaseTensors& base);

}  // namespace skein
