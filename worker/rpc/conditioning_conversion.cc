#include "worker/rpc/conditioning_conversion.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/registry/conversion.h"

namespace skein {
namespace {

absl::StatusOr<Registry::Resolved> Resolve(const v1::Conditioning& from, const Registry& registry) {
  switch (from.state_case()) {
    case v1::Conditioning::kEntry:
      return registry.Resolve(from.entry());
    case v1::Conditioning::kMix:
      return registry.Resolve(ConvertMix(from.mix()));
    case v1::Conditioning::STATE_NOT_SET:
      break;
  }
  return Registry::Resolved();
}

absl::Status AddAdapters(const v1::Conditioning& from, const Registry& registry, Conditioning& to) {
  const bool wants_no_state = from.state_case() == v1::Conditioning::STATE_NOT_SET;
  const std::string* with_state = nullptr;
  for (const v1::AdapterWeight& wanted : from.adapters()) {
    ASSIGN_OR_RETURN(const std::shared_ptr<const RegistryEntry> entry,
                     registry.ResolveAdapter(wanted.name()));
    to.adapters.push_back({entry->adapter, std::nullopt, wanted.name()});
    if (wanted.has_scale()) to.adapters.back().scale = wanted.scale();
    if (!wants_no_state || entry->state == nullptr) continue;
    if (with_state != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("conditioning.adapters: \"", *with_state, "\" and \"", wanted.name(),
                       "\" both come with a state to start from; name the state"));
    }
    with_state = &wanted.name();
    to.branches = {{entry->state, 1}};
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ConvertedConditioning> ConvertConditioning(const v1::Conditioning& from,
                                                          const Registry& registry) {
  ASSIGN_OR_RETURN(Registry::Resolved resolved, Resolve(from, registry));
  ConvertedConditioning to;
  to.defaults = resolved.defaults;
  for (WeightedState& state : resolved.states) {
    to.engine.branches.push_back({std::move(state.state), state.weight});
  }
  RETURN_IF_ERROR(AddAdapters(from, registry, to.engine));
  return to;
}

}  // namespace skein
