#include "worker/models/rwkv7/adapters.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/layers/step_adapters.h"

namespace skein::rwkv7 {
namespace {

AdapterPlaces Places(const Spec& spec) {
  AdapterPlaces places;
  places.modules.resize(HeadPlaceIndex(spec.num_layers()) + 1);
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    const auto set = [&](AdapterPlace place, absl::string_view weight) {
      places.modules[PlaceIndex(i, place)] = NativeModule(LayerName(spec.naming, i, weight));
    };
    set(AdapterPlace::kReceptance, "att.receptance.weight");
    set(AdapterPlace::kKey, "att.key.weight");
    set(AdapterPlace::kValue, "att.value.weight");
    set(AdapterPlace::kOutput, "att.output.weight");
    set(AdapterPlace::kFfnIn, "ffn.key.weight");
    set(AdapterPlace::kFfnOut, "ffn.value.weight");
    places.channel_mixes.push_back(absl::StrCat("blocks.", i, ".ffn"));
  }
  places.modules.back() = NativeModule(GlobalName(spec.naming, "head.weight"));
  return places;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ModelAdapter>> Bind(std::shared_ptr<const Adapter> adapter,
                                                         const Spec& spec, const Weights& weights,
                                                         const Stream& stream) {
  auto bound = std::make_shared<ModelAdapter>();
  RETURN_IF_ERROR(BindModules(std::move(adapter), Places(spec), *bound));
  bound->weights = weights;
  ASSIGN_OR_RETURN(bound->replaced, LoadReplaced(bound->adapter, stream, [&](WeightLoader& loader) {
                     Declare(spec, {}, loader, bound->weights);
                   }));
  const bool tied = weights.head.data == weights.embedding.data;
  if (tied) bound->weights.head = bound->weights.embedding;
  bound->replaces = bound->replaced.memory != nullptr;
  bound->bytes += bound->replaced.bytes;
  return bound;
}

}  // namespace skein::rwkv7
