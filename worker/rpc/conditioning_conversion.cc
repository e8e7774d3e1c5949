#include "worker/rpc/conditioning_conversion.h"

#include <memory>
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

absl::Status AddAdapter(const v1::Conditioning& from, const Registry& registry, Conditioning& to) {
  if (from.adapters().empty()) return absl::OkStatus();
  if (from.adapters().size() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("conditioning.adapters: ", from.adapters().size(),
                     " adapters, expected one: several at once are not supported"));
  }
  const v1::AdapterWeight& wanted = from.adapters(0);
  ASSIGN_OR_RETURN(const std::shared_ptr<const RegistryEntry> entry,
                   registry.ResolveAdapter(wanted.name()));
  to.adapter = entry->adapter;
  if (wanted.has_scale()) to.adapter_scale = wanted.scale();
  const bool wants_no_state = from.state_case() == v1::Conditioning::STATE_NOT_SET;
  if (wants_no_state && entry->state != nullptr) to.branches = {{entry->state, 1}};
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
  RETURN_IF_ERROR(AddAdapter(from, registry, to.engine));
  return to;
}

}  // namespace skein
