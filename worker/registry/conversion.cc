#include "worker/registry/conversion.h"

#include <cmath>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {

StateMix ConvertMix(const v1::StateMix& from) {
  StateMix to;
  to.keep_sum = from.keep_sum();
  for (const v1::StateWeight& part : from.states()) {
    to.parts.push_back({part.name(), part.weight()});
  }
  return to;
}

absl::StatusOr<SamplingDefaults> ConvertDefaults(const v1::Defaults& from) {
  SamplingDefaults to;
  if (from.has_temperature()) to.temperature = from.temperature();
  if (from.has_top_p()) to.top_p = from.top_p();
  RETURN_IF_ERROR(CheckDefaults(to));
  return to;
}

absl::StatusOr<TunedStateLayout> ConvertLayout(v1::StateLayout from) {
  switch (from) {
    case v1::STATE_LAYOUT_UNSPECIFIED:
      return TunedStateLayout::kAutomatic;
    case v1::STATE_LAYOUT_VALUE_KEY:
      return TunedStateLayout::kValueKey;
    case v1::STATE_LAYOUT_KEY_VALUE:
      return TunedStateLayout::kKeyValue;
    default:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("layout: ", static_cast<int>(from),
                   ", expected 0 (default), 1 (value, key) or 2 (key, value)"));
}

absl::StatusOr<AdapterOptions> ConvertAdapterOptions(const v1::LoadAdapterRequest& from) {
  AdapterOptions to;
  if (from.has_scaling()) to.scaling = from.scaling();
  if (from.has_alpha()) to.alpha = from.alpha();
  for (const std::optional<float>& number : {to.scaling, to.alpha}) {
    if (!number.has_value() || std::isfinite(*number)) continue;
    return absl::InvalidArgumentError(absl::StrCat(from.has_alpha() ? "alpha" : "scaling", ": ",
                                                   *number, ", expected a finite number"));
  }
  if (from.mole_rule() > 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("mole_rule: ", from.mole_rule(), ", expected 1, 2 or 0 for the current one"));
  }
  if (from.mole_rule() != 0) to.mole_rule = static_cast<int>(from.mole_rule());
  return to;
}

v1::Entry ConvertEntry(const RegistryEntry& from) {
  v1::Entry to;
  to.set_name(from.name);
  if (from.defaults.temperature) to.mutable_defaults()->set_temperature(*from.defaults.temperature);
  if (from.defaults.top_p) to.mutable_defaults()->set_top_p(*from.defaults.top_p);
  for (const std::string& warning : from.warnings) to.add_warnings(warning);
  if (from.kind == EntryKind::kMixture) {
    to.set_kind(v1::ENTRY_KIND_MIXTURE);
    to.mutable_mix()->set_keep_sum(from.mix.keep_sum);
    for (const MixPart& part : from.mix.parts) {
      v1::StateWeight* state = to.mutable_mix()->add_states();
      state->set_name(part.state);
      state->set_weight(part.weight);
    }
    return to;
  }
  to.set_bytes(static_cast<uint64_t>(from.bytes));
  to.set_on_device(true);  // they are kept nowhere else
  to.set_path(from.path);
  if (from.kind == EntryKind::kAdapter) {
    to.set_kind(v1::ENTRY_KIND_ADAPTER);
    to.set_method(from.adapter->adapter->Methods());
    to.set_content_hash(from.adapter->adapter->content_hash);
    if (from.options.scaling) to.set_scaling(*from.options.scaling);
    if (from.options.alpha) to.set_alpha(*from.options.alpha);
    to.set_mole_rule(static_cast<uint32_t>(from.options.mole_rule));
    return to;
  }
  to.set_kind(v1::ENTRY_KIND_STATE);
  to.set_content_hash(from.state->content_hash);
  to.set_layout(from.layout == TunedStateLayout::kKeyValue ? v1::STATE_LAYOUT_KEY_VALUE
                                                           : v1::STATE_LAYOUT_VALUE_KEY);
  return to;
}

}  // namespace skein
