// The parts of what changes one linear layer, and which method they are.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "worker/adapters/adapter_name.h"
#include "worker/adapters/adapter_plan.h"
#include "worker/adapters/plan_problems.h"

namespace skein {

struct LinearParts {
  std::map<AdapterKey::Part, TensorEntry> entries;
  std::string file_module;  // as the file calls it

  // False if there is one already.
  bool Add(const AdapterKey& key, const NamedTensor& tensor);
  const TensorEntry* Find(AdapterKey::Part part) const;
  bool Has(AdapterKey::Part part) const { return entries.contains(part); }
};

// nullopt if something does not fit, which is then in `context.problems`.
std::optional<LinearPlan> PlanLinear(const std::string& module, const LinearParts& parts,
                                     const PlanContext& context);

// A low-rank pair for a weight of this shape. `module` is for messages.
std::optional<LinearPlan> PlanLowRank(const std::string& module, const LinearParts& parts,
                                      const Shape& weight, const PlanContext& context);

// Whether the user's scaling or alpha matters to it.
bool UsesScaling(const LinearPlan& plan);

}  // namespace skein
