// The parts of a mixture of LoRA experts in one channel mix.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "worker/adapters/adapter_name.h"
#include "worker/adapters/linear_plan.h"
#include "worker/adapters/plan_problems.h"

namespace skein {

struct MoleParts {
  struct Expert {
    LinearParts key, value;
  };
  std::map<int64_t, Expert> experts;
  std::optional<TensorEntry> router, old_router, info;

  // False if there is such a part already.
  bool Add(const AdapterKey& key, const NamedTensor& tensor);
};

// nullopt if something does not fit, which is then in `context.problems`. `module`:
// "blocks.3.ffn".
std::optional<MolePlan> PlanExperts(const std::string& module, const MoleParts& parts,
                                    const PlanContext& context);

}  // namespace skein
