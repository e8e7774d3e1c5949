#include "worker/adapters/mole_plan.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

using Part = AdapterKey::Part;

constexpr int64_t kDefaultActive = 2;

bool Set(std::optional<TensorEntry>& slot, const TensorEntry& entry) {
  if (slot.has_value()) return false;
  slot = entry;
  return true;
}

class MolePlanner {
 public:
  MolePlanner(const std::string& module, const MoleParts& parts, const PlanContext& context)
      : module_(module), name_(PrintableName(module)), parts_(parts), context_(context) {}

  std::optional<MolePlan> Run() {
    plan_.module = module_;
    if (!FindWeights() || !ReadCounts() || !CheckRouter()) return std::nullopt;
    for (const auto& [index, expert] : parts_.experts) {
      if (!AddExpert(index, expert)) return std::nullopt;
    }
    return plan_;
  }

 private:
  bool Fail(absl::string_view what) {
    context_.problems.Add(absl::StrCat(name_, ": ", what));
    return false;
  }

  bool FindWeights() {
    key_ = context_.base.Find(absl::StrCat(module_, ".key.weight"));
    value_ = context_.base.Find(absl::StrCat(module_, ".value.weight"));
    const bool fits = key_ != nullptr && value_ != nullptr && key_->size() == 2 &&
                      value_->size() == 2 && (*key_)[0] == (*value_)[1] &&
                      (*key_)[1] == (*value_)[0] &&
                      context_.base.Find(absl::StrCat(module_, ".x_k")) != nullptr &&
                      context_.base.Find(absl::StrCat(module_, ".receptance.weight")) == nullptr;
    return fits || Fail("has experts, but this is no RWKV-7 channel mix");
  }

  // moe_info: how many experts there are, and how many work on a token.
  bool ReadCounts() {
    num_experts_ = static_cast<int64_t>(parts_.experts.size());
    plan_.active = kDefaultActive;
    if (parts_.info.has_value()) {
      float counts[2] = {};
      if (NumElements(parts_.info->shape) != 2) {
        return Fail(
            absl::StrCat("moe_info has shape ", ShapeString(parts_.info->shape), ", expected [2]"));
      }
      if (!ModelFiles::CopyFloat(*parts_.info, counts).ok()) return Fail("moe_info: no numbers");
      if (counts[0] != static_cast<float>(num_experts_)) {
        return Fail(
            absl::StrCat("moe_info says ", counts[0], " experts, the file has ", num_experts_));
      }
      if (!(counts[1] >= 1 && counts[1] <= counts[0] && counts[1] == std::floor(counts[1]))) {
        return Fail(absl::StrCat("moe_info says ", counts[1], " active experts of ", num_experts_));
      }
      plan_.active = static_cast<int64_t>(counts[1]);
    } else {
      context_.warnings.push_back(
          absl::StrCat(name_, ": no moe_info; taking ", kDefaultActive, " active experts"));
    }
    if (num_experts_ < 2 || parts_.experts.rbegin()->first != num_experts_ - 1) {
      return Fail(absl::StrCat("has ", num_experts_,
                               " experts, expected expert_0, expert_1 and so on without gaps"));
    }
    return true;
  }

  bool CheckRouter() {
    if (parts_.old_router.has_value() ||
        (parts_.router.has_value() && parts_.router->shape == Shape{num_experts_, (*key_)[1]})) {
      return Fail(
          "has a router with a bias or a row for expert 0, as trained before 2025-02-07; such "
          "files cannot be used");
    }
    if (!parts_.router.has_value()) return Fail("has experts without router.linear.weight");
    if (parts_.router->shape != Shape{num_experts_ - 1, (*key_)[1]}) {
      return Fail(absl::StrCat("router.linear.weight has shape ", ShapeString(parts_.router->shape),
                               ", expected ", ShapeString({num_experts_ - 1, (*key_)[1]})));
    }
    plan_.router = *parts_.router;
    return true;
  }

  bool AddExpert(int64_t index, const MoleParts::Expert& expert) {
    struct Matrix {
      absl::string_view name;
      const LinearParts& parts;
      const Shape& weight;
      std::vector<LinearPlan>& plans;
    };
    for (const Matrix& matrix : {Matrix{"key", expert.key, *key_, plan_.keys},
                                 Matrix{"value", expert.value, *value_, plan_.values}}) {
      const std::string name = absl::StrCat(module_, ".expert_", index, ".", matrix.name);
      if (matrix.parts.Has(Part::kBlock)) {
        context_.problems.AddUnsupported(
            absl::StrCat(name, ": experts of the Bone kind are not supported"));
        return false;
      }
      if (matrix.parts.entries.empty()) {
        context_.problems.Add(absl::StrCat(name, ": is missing"));
        return false;
      }
      std::optional<LinearPlan> plan = PlanLowRank(name, matrix.parts, matrix.weight, context_);
      if (!plan.has_value()) return false;
      matrix.plans.push_back(*std::move(plan));
    }
    return true;
  }

  const std::string module_, name_;
  const MoleParts& parts_;
  const PlanContext& context_;
  const Shape* key_ = nullptr;
  const Shape* value_ = nullptr;
  int64_t num_experts_ = 0;
  MolePlan plan_;
};

}  // namespace

bool MoleParts::Add(const AdapterKey& key, const NamedTensor& tensor) {
  switch (key.kind) {
    case AdapterKey::Kind::kRouter:
      return Set(router, tensor.entry);
    case AdapterKey::Kind::kOldRouter:
      return Set(old_router, tensor.entry);
    case AdapterKey::Kind::kMoleInfo:
      return Set(info, tensor.entry);
    default: {
      Expert& expert = experts[key.expert];
      return (key.expert_value ? expert.value : expert.key).Add(key, tensor);
    }
  }
}

std::optional<MolePlan> PlanExperts(const std::string& module, const MoleParts& parts,
                                    const PlanContext& context) {
  return MolePlanner(module, parts, context).Run();
}

}  // namespace skein
