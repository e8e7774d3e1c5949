// Which rows of a step have which adapter.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"

#include "kernels/adapter/adapter_module.h"

namespace skein {

// Rows [begin, begin + count) and what one adapter does to the linear layer at hand.
struct AdapterSegment {
  const AdapterModule* module = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  // s of kLowRank in place of the module's. The two scaled forms have factors that fit their own s
  // alone, and the rest has none.
  std::optional<float> scale = std::nullopt;

  int64_t end() const { return begin + count; }
  float s() const { return scale.value_or(module->scale); }
};

// The largest rank of all segments: what the columns of `inner` must hold.
int64_t MaxRank(std::span<const AdapterSegment> segments);

// InvalidArgument unless the segments are in order, do not overlap, lie within `rows`, and have
// valid modules of these extents that can be applied beside the weight.
absl::Status CheckSegments(std::span<const AdapterSegment> segments, int64_t rows, int64_t inputs,
                           int64_t outputs);

}  // namespace skein
