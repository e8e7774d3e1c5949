#include "worker/engine/memory_plan.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace skein {
namespace {

std::string Gib(int64_t bytes) {
  return absl::StrFormat("%.2f", static_cast<double>(bytes) / (int64_t{1} << 30));
}

}  // namespace

std::string MemoryPlan::ToString() const {
  return absl::StrCat(Gib(total()), " GiB: weights ", Gib(weights), ", activations ",
                      Gib(activations), ", states ", Gib(states), ", pages ", Gib(pages),
                      ", logits ", Gib(logits));
}

absl::StatusOr<MemoryPlan> PlanMemory(const ModelMemory& model, const EngineLimits& limits,
                                      int64_t available) {
  const int64_t logits_per_output = model.vocab_size * static_cast<int64_t>(sizeof(float));
  MemoryPlan plan;
  plan.weights = model.weight_bytes;
  plan.activations = model.activation_bytes;
  plan.states = model.state_bytes * (int64_t{limits.max_sequences} + 1);
  plan.pages = model.kv_bytes_per_token == 0 ? 0 : limits.kv_bytes;
  plan.logits = logits_per_output * MaxOutputs(limits);
  const int64_t per_sequence = model.state_bytes + logits_per_output;
  const int64_t fixed = plan.total() - per_sequence * limits.max_sequences;
  plan.max_sequences = std::max<int64_t>((available - fixed) / per_sequence, 0);
  if (plan.total() <= available) return plan;
  return absl::ResourceExhaustedError(absl::StrCat(
      "the model does not fit: it needs ", plan.ToString(), "; ", Gib(available), " GiB are free. ",
      plan.max_sequences > 0 ? absl::StrCat("engine.max_sequences: ", limits.max_sequences,
                                            ", expected at most ", plan.max_sequences)
                             : "Not even one sequence fits"));
}

}  // namespace skein
