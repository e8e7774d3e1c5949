#include "worker/adapters/adapter_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/adapters/adapter_name.h"
#include "worker/adapters/linear_plan.h"
#include "worker/adapters/mole_plan.h"
#include "worker/adapters/plan_problems.h"

namespace skein {
namespace {

using Kind = AdapterKey::Kind;

bool IsWeightType(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16 ||
         dtype == DType::kF64;
}

// Without extents of 1.
Shape Squeezed(const Shape& shape) {
  Shape result;
  for (const int64_t extent : shape) {
    if (extent != 1) result.push_back(extent);
  }
  return result;
}

// [1, 1, C] is [C], and so is [H, N] if H N = C; but [M, K] is not [K, M].
bool SameValues(const Shape& found, const Shape& wanted) {
  if (NumElements(found) != NumElements(wanted)) return false;
  const Shape a = Squeezed(found), b = Squeezed(wanted);
  return a == b || a.size() <= 1 || b.size() <= 1;
}

class Planner {
 public:
  Planner(const std::optional<PeftConfig>& peft, const AdapterOptions& options,
          const BaseTensors& base)
      : context_{peft, options, base, problems_, plan_.warnings} {}

  absl::StatusOr<AdapterPlan> Run(std::span<const NamedTensor> tensors) {
    for (const NamedTensor& tensor : tensors) Sort(tensor);
    for (auto& [module, parts] : modules_) PlanModule(module, parts);
    for (auto& [module, parts] : moles_) PlanMole(module, parts);
    const bool empty = plan_.linears.empty() && plan_.channel_mixes.empty() &&
                       plan_.replaced.empty() && plan_.state.empty();
    if (problems_.empty() && empty) problems_.Add("holds nothing that changes this model");
    RETURN_IF_ERROR(problems_.status());
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(plan_.replaced.begin(), plan_.replaced.end(), by_name);
    std::sort(plan_.state.begin(), plan_.state.end(), by_name);
    WarnOfUnusedStrength();
    return std::move(plan_);
  }

 private:
  void Sort(const NamedTensor& tensor) {
    AdapterKey key = ParseAdapterKey(tensor.name);
    const std::string name = PrintableName(tensor.name);
    if (!IsWeightType(tensor.entry.dtype)) {
      problems_.Add(absl::StrCat(name, ": type ", DTypeName(tensor.entry.dtype),
                                 ", expected F32, BF16, F16 or F64"));
      return;
    }
    if (NumElements(tensor.entry.shape) == 0) {
      problems_.Add(absl::StrCat(name, ": is empty"));
      return;
    }
    switch (key.kind) {
      case Kind::kPlain:
        return Replace(key.module, name, tensor.entry);
      case Kind::kModule:
        return Take(name, modules_[key.module].Add(key, tensor));
      case Kind::kState:
        plan_.state.push_back({key.module, tensor.entry});
        return Take(name, state_names_.insert(key.module).second);
      default:
        return Take(name, moles_[key.module].Add(key, tensor));
    }
  }

  void Take(absl::string_view name, bool first) {
    if (!first) problems_.Add(absl::StrCat(name, ": another entry has the same meaning"));
  }

  void Replace(const std::string& name, absl::string_view file_name, const TensorEntry& entry) {
    const Shape* shape = context_.base.Find(name);
    if (shape == nullptr) {
      problems_.AddUnknown(file_name);
      return;
    }
    if (!SameValues(entry.shape, *shape)) {
      const bool vocabulary =
          name == "emb.weight" && entry.shape.size() == 2 && entry.shape[1] == shape->back();
      problems_.Add(absl::StrCat(file_name, ": shape ", ShapeString(entry.shape), ", expected ",
                                 ShapeString(*shape),
                                 vocabulary ? "; another vocabulary is another model" : ""));
      return;
    }
    Take(file_name, replaced_names_.insert(name).second);
    plan_.replaced.push_back({name, *shape, entry});
  }

  void PlanModule(const std::string& module, const LinearParts& parts) {
    std::optional<LinearPlan> linear = PlanLinear(module, parts, context_);
    if (linear.has_value()) plan_.linears.push_back(*std::move(linear));
  }
  void PlanMole(const std::string& module, const MoleParts& parts) {
    for (const char* matrix : {".key", ".value"}) {
      if (modules_.contains(module + matrix)) {
        problems_.Add(absl::StrCat(
            module, matrix, ": has experts and an adapter of its own; only one can be used"));
      }
    }
    std::optional<MolePlan> mole = PlanExperts(module, parts, context_);
    if (mole.has_value()) plan_.channel_mixes.push_back(*std::move(mole));
  }

  void WarnOfUnusedStrength() {
    const AdapterOptions& options = context_.options;
    if (!options.scaling.has_value() && !options.alpha.has_value()) return;
    for (const LinearPlan& linear : plan_.linears) {
      if (UsesScaling(linear)) return;
    }
    if (!plan_.channel_mixes.empty()) return;
    plan_.warnings.push_back(absl::StrCat(options.scaling.has_value() ? "scaling" : "alpha",
                                          " has no effect: nothing in this file is scaled"));
  }

  AdapterPlan plan_;
  PlanProblems problems_;
  const PlanContext context_;
  std::map<std::string, LinearParts> modules_;
  std::map<std::string, MoleParts> moles_;
  std::set<std::string> state_names_, replaced_names_;
};

}  // namespace

absl::StatusOr<AdapterPlan> PlanAdapter(std::span<const NamedTensor> tensors,
                                        const std::optional<PeftConfig>& peft,
                                        const AdapterOptions& options, const BaseTensors& base) {
  if (options.scaling.has_value() && options.alpha.has_value()) {
    return absl::InvalidArgumentError("scaling and alpha are both given, expected at most one");
  }
  for (const std::optional<float>& strength : {options.scaling, options.alpha}) {
    if (strength.has_value() && !std::isfinite(*strength)) {
      return absl::InvalidArgumentError("scaling or alpha is not a finite number");
    }
  }
  if (options.mole_rule != 1 && options.mole_rule != 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("mole_rule is ", options.mole_rule, ", expected 1 or 2"));
  }
  return Planner(peft, options, base).Run(tensors);
}

}  // namespace skein
