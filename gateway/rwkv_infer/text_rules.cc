#include "gateway/rwkv_infer/text_rules.h"

#include <optional>
#include <string>

#include "common/base/status_macros.h"
#include "gateway/rwkv_infer/state_bodies.h"

namespace skein {
namespace {

constexpr float kTemperature = 1.0f;
constexpr float kTopP = 0.3f;
constexpr float kPresencePenalty = 0.2f;
constexpr float kFrequencyPenalty = 0.3f;
constexpr float kPenaltyDecay = 0.996f;
constexpr float kPromptPenaltyWeight = 0.1f;

std::optional<v1::Entry> ChosenEntry(const WorkerPool& workers, const TextRequest& request) {
  const std::string& name = request.generate.conditioning().entry();
  if (name.empty()) return std::nullopt;
  for (const ModelEntry& known : workers.Entries(request.generate.model())) {
    if (known.entry.name() == name) return known.entry;
  }
  return std::nullopt;
}

v1::Defaults DefaultsOfModel(const WorkerPool& workers, const std::string& name) {
  for (const v1::ModelInfo& model : workers.Models()) {
    if (model.name() == name) return model.defaults();
  }
  return {};
}

// The sampling settings of last resort: `params` take the place of the model's.
v1::Defaults Fallbacks(const WorkerPool& workers, const InferText& text) {
  v1::Defaults defaults;
  defaults.set_temperature(kTemperature);
  defaults.set_top_p(kTopP);
  if (text.extras.params.has_value()) {
    const TextParams& params = *text.extras.params;
    if (params.temperature.has_value()) defaults.set_temperature(*params.temperature);
    if (params.top_p.has_value()) defaults.set_top_p(*params.top_p);
  } else {
    defaults.MergeFrom(DefaultsOfModel(workers, text.request.generate.model()));
  }
  return defaults;
}

// Penalties, and the order in which that server samples whatever the model is.
void ApplyHabits(const TextParams& params, v1::Sampling& sampling) {
  if (sampling.order() == v1::SAMPLING_ORDER_UNSPECIFIED) {
    sampling.set_order(v1::SAMPLING_ORDER_RWKV);
  }
  if (!sampling.has_presence_penalty()) {
    sampling.set_presence_penalty(params.presence_penalty.value_or(kPresencePenalty));
  }
  if (!sampling.has_frequency_penalty()) {
    sampling.set_frequency_penalty(params.frequency_penalty.value_or(kFrequencyPenalty));
  }
  if (!sampling.has_penalty_decay()) {
    sampling.set_penalty_decay(params.penalty_decay.value_or(kPenaltyDecay));
  }
  if (!sampling.has_prompt_penalty_weight()) {
    sampling.set_prompt_penalty_weight(kPromptPenaltyWeight);
  }
}

}  // namespace

absl::Status ApplyRules(const WorkerPool& workers, InferText& text) {
  v1::GenerateRequest& generate = text.request.generate;
  v1::Sampling& sampling = *generate.mutable_sampling();
  ApplyHabits(text.extras.params.value_or(TextParams()), sampling);

  const std::optional<v1::Entry> entry = ChosenEntry(workers, text.request);
  // An entry that no list shows yet: its worker knows its settings.
  if (!generate.conditioning().entry().empty() && !entry.has_value()) return absl::OkStatus();
  v1::Defaults defaults = Fallbacks(workers, text);
  if (entry.has_value()) defaults.MergeFrom(entry->defaults());
  if (!sampling.has_temperature()) sampling.set_temperature(defaults.temperature());
  if (!sampling.has_top_p()) sampling.set_top_p(defaults.top_p());

  const bool is_mixture = entry.has_value() && entry->kind() == v1::ENTRY_KIND_MIXTURE;
  if (!is_mixture || !text.extras.weights.has_value()) return absl::OkStatus();
  v1::StateMix mix = entry->mix();
  RETURN_IF_ERROR(Weigh("mrss_gatingweight", *text.extras.weights, mix));
  *generate.mutable_conditioning()->mutable_mix() = mix;
  return absl::OkStatus();
}

}  // namespace skein
