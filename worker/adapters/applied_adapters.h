// The adapters of one request.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"

#include "worker/adapters/bound_adapter.h"

namespace skein {

struct AppliedAdapter {
  std::shared_ptr<const BoundAdapter> adapter;  // by Bind of the model that runs
  std::optional<float> scale = std::nullopt;    // s of plain LoRAs, in place of their own
  std::string name = {};                        // as the request calls it, for messages

  bool same(const AppliedAdapter& other) const {
    return adapter == other.adapter && scale == other.scale;
  }
};

inline constexpr size_t kMaxAppliedAdapters = 8;

// InvalidArgument, naming the adapters and what they disagree on, unless they can be applied at
// once. Several of them change a weight W by the sum of what each alone changes,
//   W' = W + sum_i (W_i' - W)
// on whose terms their order has no influence. That is done beside the weights, so of the adapters
// of one product at most one may do more than to add to it (DoRA, Bone); at most one may replace
// tensors, and none that another one's magnitudes were computed from; and a channel mix with
// experts has no other adapter. Their ranks on one product together are at most kMaxAdapterRank.
absl::Status CheckApplied(std::span<const AppliedAdapter> adapters);

}  // namespace skein
