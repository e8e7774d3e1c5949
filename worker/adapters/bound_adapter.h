// An adapter in the places where one model applies it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "kernels/adapter/adapter_module.h"
#include "worker/adapters/adapter.h"

namespace skein {

// The largest rank, and the largest number of experts and their rank together, that models have
// workspace for.
inline constexpr int64_t kMaxAdapterRank = 1024;

// Immutable once bound; shared by the registry and the requests that use it. A model derives from
// it to keep what replaces its own tensors.
struct BoundAdapter {
  virtual ~BoundAdapter() = default;

  std::shared_ptr<const Adapter> adapter;
  std::vector<const AdapterModule*> modules;  // by place of the model; null: the product as it is
  std::vector<const MoleExperts*> experts;    // by layer; null: an ordinary channel mix
  bool replaces = false;  // its rows take a pass of their own, over weights of their own
  int64_t bytes = 0;      // of all that was loaded for it
};

// The linear layers and channel mixes that a model can hook into, by native name. An empty name is
// a place that this layer does not have.
struct AdapterPlaces {
  std::vector<std::string> modules;        // "blocks.3.att.key", ...
  std::vector<std::string> channel_mixes;  // "blocks.3.ffn" for each layer
};

// Fills all but what the model derives. InvalidArgument, naming the layer, for one that has no
// place in the model, for a rank beyond kMaxAdapterRank and for blocks of outputs, which can only
// be merged into the weights.
absl::Status BindModules(std::shared_ptr<const Adapter> adapter, const AdapterPlaces& places,
                         BoundAdapter& bound);

// InvalidArgument unless a request may give the adapter a scale of its own: its changes are plain
// products of two matrices.
absl::Status CheckTakesScale(const Adapter& adapter);

}  // namespace skein
