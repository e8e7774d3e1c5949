// Which rows of a pass have which adapter, as each product of a model asks for it. CPU only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/adapter/mole.h"
#include "kernels/adapter/product_adapters.h"
#include "worker/adapters/bound_adapter.h"
#include "worker/layers/buffers.h"
#include "worker/models/model.h"

namespace skein {

// The products of one layer that adapters may change. The places of a BoundAdapter are these, layer
// by layer, and after them the head.
enum class AdapterPlace {
  kReceptance,  // or the attention's query
  kKey,
  kValue,
  kOutput,
  kFfnIn,  // ffn.key, or ffn.gate
  kFfnUp,
  kFfnOut,  // ffn.value, or ffn.down
  kCount,
};
constexpr int64_t PlaceIndex(int64_t layer, AdapterPlace place) {
  return layer * static_cast<int64_t>(AdapterPlace::kCount) + static_cast<int64_t>(place);
}
constexpr int64_t HeadPlaceIndex(int64_t num_layers) {
  return PlaceIndex(num_layers, AdapterPlace::kReceptance);
}

struct LayerExperts {
  std::span<const MoleSegment> segments;
  ActivationView bare;                // [rows, F]
  TensorView<float> side, workspace;  // [rows, D], [rows, MoleWorkspace or more]
};

// Calls follow: Plan (Begin (EnterLayer At* Experts)* AtHead)*. What At and Experts return is valid
// until the next layer.
class StepAdapters {
 public:
  struct Sizes {
    int64_t num_layers = 0;
    int64_t width = 0;
    int64_t widest_input = 0;
    int64_t experts_width = 0;  // F; 0 for models whose layers have no experts
  };

  // Claims the workspace.
  void Plan(const Sizes& sizes, BufferPlan& plan);

  void Begin(const ModelBatch& batch);
  void EnterLayer(int64_t layer) { layer_ = layer; }
  ProductAdapters At(AdapterPlace place, int64_t inputs);
  LayerExperts Experts();
  ProductAdapters AtHead();

 private:
  // Adjacent rows, and the outputs that are of them. Those with several adapters have a group for
  // each.
  struct Group {
    const BoundAdapter* adapter = nullptr;
    std::optional<float> scale;
    int64_t begin = 0, count = 0;
    int64_t first_output = 0, num_outputs = 0;
  };
  using Segments = std::vector<AdapterSegment>;
  static void Add(const AdapterSegment& segment, Segments& segments);
  ProductAdapters Around(const Segments& segments, int64_t rows, int64_t inputs) const;

  Sizes sizes_;
  Buffer input_, inner_, bare_, side_, workspace_;
  int64_t rows_ = 0, outputs_ = 0, layer_ = 0;
  std::vector<Group> groups_;
  std::array<Segments, static_cast<size_t>(AdapterPlace::kCount)> segments_;
  std::vector<MoleSegment> experts_;
};

}  // namespace skein
