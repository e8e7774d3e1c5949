#include "worker/rpc/conditioning_conversion.h"

#include <utility>

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

}  // namespace

absl::StatusOr<ConvertedConditioning> ConvertConditioning(const v1::Conditioning& from,
                                                          const Registry& registry) {
  if (!from.adapters().empty()) {
    return absl::UnimplementedError("conditioning.adapters: adapters are not supported");
  }
  ASSIGN_OR_RETURN(Registry::Resolved resolved, Resolve(from, registry));
  ConvertedConditioning to;
  to.defaults = resolved.defaults;
  for (WeightedState& state : resolved.states) {
    to.engine.branches.push_back({std::move(state.state), state.weight});
  }
  return to;
}

}  // namespace skein
