#include "worker/adapters/linear_plan.h"

#include <cmath>

#include "absl/strings/str_cat.h"

namespace skein {
namespace {

using Part = AdapterKey::Part;
using Blocks = PeftConfig::Blocks;

constexpr float kDefaultScaling = 2.0f;

class LinearPlanner {
 public:
  LinearPlanner(const std::string& module, const LinearParts& parts, const Shape& weight,
                const PlanContext& context)
      : name_(PrintableName(module)), parts_(parts), context_(context) {
    plan_.module = module;
    plan_.outputs = weight[0];
    plan_.inputs = weight[1];
  }

  std::optional<LinearPlan> Block() {
    if (parts_.entries.size() > 1) {
      return Fail("has blocks and low-rank matrices, expected one of them");
    }
    const TensorEntry& entry = *parts_.Find(Part::kBlock);
    plan_.block = entry;
    if (entry.shape.size() == 3) return ThreeDimensional(entry);
    if (entry.shape.size() != 2) return WrongBlock(entry, "[r, outputs] or [inputs / r, r, r]");
    if (context_.options.output_blocks) return OldBlocks(entry);
    return TwoDimensional(entry);
  }

  std::optional<LinearPlan> LowRank() {
    if (!Pair(Part::kLoraA, Part::kLoraB, plan_.a, plan_.b)) return std::nullopt;
    plan_.rank = plan_.a->shape[0];
    plan_.form = AdapterForm::kLowRank;
    plan_.method = AdapterMethod::kLora;
    if (parts_.Has(Part::kInitLoraA) || parts_.Has(Part::kInitLoraB)) return Pissa();
    if (!ReadScale()) return std::nullopt;
    if (parts_.Has(Part::kColumnMagnitude) && parts_.Has(Part::kRowMagnitude)) {
      return Fail("has lora_M and lora_magnitude_vector, expected one of them");
    }
    if (parts_.Has(Part::kColumnMagnitude)) {
      return Magnitude(Part::kColumnMagnitude, AdapterMethod::kDora, AdapterForm::kInputScaled,
                       plan_.inputs);
    }
    if (parts_.Has(Part::kRowMagnitude)) {
      return Magnitude(Part::kRowMagnitude, AdapterMethod::kDoraRows, AdapterForm::kOutputScaled,
                       plan_.outputs);
    }
    return plan_;
  }

 private:
  std::optional<LinearPlan> Fail(absl::string_view what) {
    context_.problems.Add(absl::StrCat(name_, ": ", what));
    return std::nullopt;
  }
  std::optional<LinearPlan> WrongBlock(const TensorEntry& entry, absl::string_view wanted) {
    return Fail(absl::StrCat("block has shape ", ShapeString(entry.shape), ", expected ", wanted,
                             " for a weight of ", ShapeString({plan_.outputs, plan_.inputs})));
  }

  bool Divides(int64_t rank) const { return plan_.outputs % rank == 0 && plan_.inputs % rank == 0; }

  std::optional<LinearPlan> ThreeDimensional(const TensorEntry& entry) {
    const int64_t r = entry.shape[1];
    const bool by_output = context_.peft.has_value() || context_.options.output_blocks;
    if (context_.peft.has_value() && context_.peft->blocks != Blocks::kBat) {
      return Fail(
          "has blocks of three dimensions, but adapter_config.json has no "
          "\"init_weights\": \"bat\"");
    }
    const int64_t groups = (by_output ? plan_.outputs : plan_.inputs) / r;
    if (entry.shape[2] != r || entry.shape[0] != groups || !Divides(r)) {
      return WrongBlock(entry, by_output ? "[outputs / r, r, r] with r a divisor of both"
                                         : "[inputs / r, r, r] with r a divisor of both");
    }
    if (!RankAgrees(r)) return std::nullopt;
    plan_.rank = r;
    plan_.method = by_output ? AdapterMethod::kBat : AdapterMethod::kBone;
    plan_.form = by_output ? AdapterForm::kOutputBlocks : AdapterForm::kInputBlocks;
    return plan_;
  }

  // [outputs, r], which stands for [outputs / r, r, r].
  std::optional<LinearPlan> OldBlocks(const TensorEntry& entry) {
    const int64_t r = entry.shape[1];
    if (entry.shape[0] != plan_.outputs || !Divides(r)) {
      return WrongBlock(entry, "[outputs, r] with r a divisor of both");
    }
    plan_.rank = r;
    plan_.method = AdapterMethod::kBat;
    plan_.form = AdapterForm::kOutputBlocks;
    return plan_;
  }

  std::optional<LinearPlan> TwoDimensional(const TensorEntry& entry) {
    const int64_t r = entry.shape[0], width = entry.shape[1];
    const bool mini = context_.peft.has_value() && context_.peft->blocks == Blocks::kMini;
    if (mini && (plan_.outputs % width != 0 ||
                 (context_.peft->mini_width > 1 && context_.peft->mini_width != width))) {
      return WrongBlock(entry, absl::StrCat("[r, mini_r] with mini_r = ", context_.peft->mini_width,
                                            " a divisor of the outputs"));
    }
    if ((!mini && width != plan_.outputs) || r > plan_.inputs) {
      return WrongBlock(entry, "[r, outputs] with r at most the inputs");
    }
    if (!RankAgrees(r)) return std::nullopt;
    plan_.rank = r;
    plan_.method = AdapterMethod::kMiss;
    plan_.form = AdapterForm::kInputSums;
    return plan_;
  }

  const TensorEntry* Matrix(Part part, Part other) {
    const TensorEntry* entry = parts_.Find(part);
    if (entry == nullptr) {
      Fail(absl::StrCat("has ",
                        parts_.Has(other) ? AdapterPartName(other)
                                          : AdapterPartName(parts_.entries.begin()->first),
                        " without ", AdapterPartName(part)));
      return nullptr;
    }
    if (entry->shape.size() == 2) return entry;
    Fail(absl::StrCat(AdapterPartName(part), " has shape ", ShapeString(entry->shape),
                      ", expected two dimensions"));
    return nullptr;
  }

  bool Pair(Part a_part, Part b_part, std::optional<TensorEntry>& a,
            std::optional<TensorEntry>& b) {
    const TensorEntry* a_entry = Matrix(a_part, b_part);
    if (a_entry == nullptr) return false;
    const TensorEntry* b_entry = Matrix(b_part, a_part);
    if (b_entry == nullptr) return false;
    const int64_t r = a_entry->shape[0];
    if (a_entry->shape[1] != plan_.inputs || b_entry->shape[0] != plan_.outputs) {
      Fail(absl::StrCat(AdapterPartName(a_part), " has shape ", ShapeString(a_entry->shape),
                        " and ", AdapterPartName(b_part), " ", ShapeString(b_entry->shape),
                        ", expected [r, ", plan_.inputs, "] and [", plan_.outputs, ", r]"));
      return false;
    }
    if (b_entry->shape[1] != r) {
      Fail(absl::StrCat(AdapterPartName(a_part), " has rank ", r, ", ", AdapterPartName(b_part),
                        " has rank ", b_entry->shape[1]));
      return false;
    }
    a = *a_entry;
    b = *b_entry;
    return true;
  }

  bool RankAgrees(int64_t rank) {
    if (!context_.peft.has_value()) return true;
    const int64_t said = context_.peft->RankOf(parts_.file_module);
    if (said == 0 || said == rank) return true;
    Fail(absl::StrCat("has rank ", rank, ", adapter_config.json says ", said));
    return false;
  }

  bool ReadScale() {
    if (!RankAgrees(plan_.rank)) return false;
    const double r = static_cast<double>(plan_.rank);
    double scale = kDefaultScaling;
    if (context_.options.scaling.has_value()) {
      scale = *context_.options.scaling;
    } else if (context_.options.alpha.has_value()) {
      scale = *context_.options.alpha / r;
    } else if (context_.peft.has_value()) {
      scale = context_.peft->ScalingOf(parts_.file_module, plan_.rank);
    }
    plan_.scale = static_cast<float>(scale);
    if (std::isfinite(plan_.scale)) return true;
    Fail("its scaling is beyond the range of a float");
    return false;
  }

  std::optional<LinearPlan> Pissa() {
    if (parts_.Has(Part::kColumnMagnitude) || parts_.Has(Part::kRowMagnitude)) {
      return Fail("has initial factors and magnitudes, expected one of them");
    }
    if (!Pair(Part::kInitLoraA, Part::kInitLoraB, plan_.init_a, plan_.init_b)) return std::nullopt;
    plan_.rank += plan_.init_a->shape[0];
    plan_.method = AdapterMethod::kPissa;
    return plan_;
  }

  std::optional<LinearPlan> Magnitude(Part part, AdapterMethod method, AdapterForm form,
                                      int64_t elements) {
    const TensorEntry& entry = *parts_.Find(part);
    if (NumElements(entry.shape) != elements) {
      return Fail(absl::StrCat(AdapterPartName(part), " has shape ", ShapeString(entry.shape),
                               ", expected ", elements, " values"));
    }
    plan_.magnitude = entry;
    plan_.method = method;
    plan_.form = form;
    return plan_;
  }

  const std::string name_;  // for messages
  const LinearParts& parts_;
  const PlanContext& context_;
  LinearPlan plan_;
};

}  // namespace

bool LinearParts::Add(const AdapterKey& key, const NamedTensor& tensor) {
  file_module = key.file_module;
  return entries.emplace(key.part, tensor.entry).second;
}

const TensorEntry* LinearParts::Find(AdapterKey::Part part) const {
  const auto found = entries.find(part);
  return found == entries.end() ? nullptr : &found->second;
}

std::optional<LinearPlan> PlanLinear(const std::string& module, const LinearParts& parts,
                                     const PlanContext& context) {
  const std::string name = PrintableName(module);
  if (module == "emb" || parts.Has(Part::kEmbeddingLora)) {
    context.problems.Add(absl::StrCat(name, ": LoRA of the embedding cannot be applied"));
    return std::nullopt;
  }
  const Shape* weight = context.base.Find(absl::StrCat(module, ".weight"));
  if (weight == nullptr || weight->size() != 2) {
    context.problems.Add(absl::StrCat(name, ": this model has no such linear layer"));
    return std::nullopt;
  }
  if (parts.Has(Part::kBlock)) return LinearPlanner(module, parts, *weight, context).Block();
  return PlanLowRank(module, parts, *weight, context);
}

std::optional<LinearPlan> PlanLowRank(const std::string& module, const LinearParts& parts,
                                      const Shape& weight, const PlanContext& context) {
  return LinearPlanner(module, parts, weight, context).LowRank();
}

bool UsesScaling(const LinearPlan& plan) {
  return plan.method == AdapterMethod::kLora || plan.method == AdapterMethod::kDora ||
         plan.method == AdapterMethod::kDoraRows;
}

}  // namespace skein
