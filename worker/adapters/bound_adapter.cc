#include "worker/adapters/bound_adapter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/adapter/mole_routing.h"

namespace skein {
namespace {

absl::StatusOr<size_t> PlaceOf(const std::vector<std::string>& places, const std::string& module) {
  const auto found = std::find(places.begin(), places.end(), module);
  if (found != places.end()) return static_cast<size_t>(found - places.begin());
  return absl::InvalidArgumentError(
      absl::StrCat(module, ": adapters do not apply to this layer of the model"));
}

absl::Status CheckRank(const std::string& module, int64_t rank) {
  if (rank <= kMaxAdapterRank) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(module, ": rank ", rank, ", expected at most ", kMaxAdapterRank));
}

absl::Status CheckLinear(const AdaptedLinear& linear) {
  if (!linear.hooks.unmerged()) {
    return absl::InvalidArgumentError(
        absl::StrCat(linear.module, ": method ", AdapterMethodName(linear.method),
                     " can only be merged into the weights of a model, which workers do not do"));
  }
  RETURN_IF_ERROR(linear.hooks.Validate());
  return CheckRank(linear.module, linear.hooks.rank);
}

absl::Status CheckExperts(const AdaptedChannelMix& mix) {
  RETURN_IF_ERROR(mix.mole.Validate());
  if (mix.mole.active > kMaxActiveExperts) {
    return absl::InvalidArgumentError(absl::StrCat(mix.module, ": ", mix.mole.active,
                                                   " active experts, expected at most ",
                                                   kMaxActiveExperts));
  }
  int64_t rank = 0;
  for (const MoleExperts::Expert& expert : mix.experts) {
    rank = std::max({rank, expert.key.rank, expert.value.rank});
  }
  return CheckRank(mix.module, rank + mix.mole.router.rows);
}

}  // namespace

absl::Status BindModules(std::shared_ptr<const Adapter> adapter, const AdapterPlaces& places,
                         BoundAdapter& bound) {
  bound.modules.assign(places.modules.size(), nullptr);
  bound.experts.assign(places.channel_mixes.size(), nullptr);
  for (const AdaptedLinear& linear : adapter->linears) {
    ASSIGN_OR_RETURN(const size_t place, PlaceOf(places.modules, linear.module));
    RETURN_IF_ERROR(CheckLinear(linear));
    if (linear.hooks.form != AdapterForm::kNone) bound.modules[place] = &linear.hooks;
  }
  for (const AdaptedChannelMix& mix : adapter->channel_mixes) {
    ASSIGN_OR_RETURN(const size_t layer, PlaceOf(places.channel_mixes, mix.module));
    RETURN_IF_ERROR(CheckExperts(mix));
    bound.experts[layer] = &mix.mole;
  }
  bound.bytes = adapter->bytes();
  bound.adapter = std::move(adapter);
  return absl::OkStatus();
}

absl::Status CheckTakesScale(const Adapter& adapter) {
  for (const AdaptedLinear& linear : adapter.linears) {
    if (linear.hooks.form == AdapterForm::kLowRank || linear.hooks.form == AdapterForm::kNone) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat("scale: only LoRA takes one, ", linear.module,
                                                   " has ", AdapterMethodName(linear.method)));
  }
  return absl::OkStatus();
}

}  // namespace skein
