// Names of the tensors in tuned state files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

enum class TunedStatePart {
  kTimeState,     // att.time_state: the WKV state
  kTimeMixShift,  // att.ts_state: the token shift's row of time mixing
  kChannelShift,  // ffn.ts_state: that of channel mixing
  kTimeOffset,    // att.time_offset: factor of the WKV output, less 1
  kTimeOffsetY,   // att.time_offset_y: the same in files of March 2025
  kTimeOffset2,   // att.time_offset2: factor of the a-gate's input
};

struct TunedStateKey {
  TunedStatePart part = TunedStatePart::kTimeState;
  int64_t layer = 0;

  bool operator==(const TunedStateKey&) const = default;
  auto operator<=>(const TunedStateKey&) const = default;
};

// Reads `blocks.{i}.att.time_state` and its like, the names of Hugging Face models
// (`model.layers.{i}.self_attn.time_state`, `mlp.` for `ffn.`), both also behind the prefixes that
// training programs leave there (`model.`, `base_model.model.`). nullopt for any other name.
std::optional<TunedStateKey> ParseTunedStateKey(absl::string_view name);
// The native name.
std::string TunedStateKeyName(const TunedStateKey& key);

}  // namespace skein
