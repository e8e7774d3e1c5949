#include "worker/models/hybrid/adapters.h"

#include <utility>

#include "common/base/status_macros.h"
#include "worker/layers/step_adapters.h"

namespace skein::hybrid {
namespace {

AdapterPlaces Places(const Spec& spec) {
  AdapterPlaces places;
  places.modules.resize(HeadPlaceIndex(spec.num_layers()) + 1);
  places.channel_mixes.resize(spec.num_layers());
  for (int64_t i = 0; i < spec.num_layers(); ++i) {
    const bool attention = spec.layers[i].attention;
    const auto set = [&](AdapterPlace place, absl::string_view weight) {
      places.modules[PlaceIndex(i, place)] = NativeModule(LayerName(spec.naming, i, weight));
    };
    set(AdapterPlace::kReceptance,
        attention ? "self_attn.q_proj.weight" : "self_attn.receptance.weight");
    set(AdapterPlace::kKey, attention ? "self_attn.k_proj.weight" : "self_attn.key.weight");
    set(AdapterPlace::kValue, attention ? "self_attn.v_proj.weight" : "self_attn.value.weight");
    set(AdapterPlace::kOutput, attention ? "self_attn.o_proj.weight" : "self_attn.output.weight");
    set(AdapterPlace::kFfnIn, "mlp.gate_proj.weight");
    set(AdapterPlace::kFfnUp, "mlp.up_proj.weight");
    set(AdapterPlace::kFfnOut, "mlp.down_proj.weight");
  }
  places.modules.back() = NativeModule(GlobalName(spec.naming, "lm_head.weight"));
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
                     Declare(spec, loader, bound->weights);
                   }));
  const bool tied = weights.head.data == weights.embedding.data;
  if (tied) bound->weights.head = bound->weights.embedding;
  bound->replaces = bound->replaced.memory != nullptr;
  bound->bytes += bound->replaced.bytes;
  return bound;
}

}  // namespace skein::hybrid
