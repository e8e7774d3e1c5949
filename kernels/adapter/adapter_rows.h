// Which rows of a step have which adapter.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"

#include "kernels/adapter/adapter_module.h"

namespace skein {

// Rows [begin, begin + count) and what one adapter does to the linear layer at hand. Rows with
// several adapters have a stack: adjacent segments with these very rows, whose changes of the
// weight are summed, one after the other in this order. All but the first of a stack are plain
// additions.
struct AdapterSegment {
  const AdapterModule* module = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
  // s of kLowRank in place of the module's. The two scaled forms have factors that fit their own s
  // alone, and the rest has none.
  std::optional<float> scale = std::nullopt;
  int64_t column = 0;  // the first of its columns in `inner`; those of a stack have their own

  int64_t end() const { return begin + count; }
  float s() const { return scale.value_or(module->scale); }
  bool same_rows(const AdapterSegment& other) const {
    return begin == other.begin && count == other.count;
  }
};

// How many columns of `inner` the segments need.
int64_t InnerColumns(std::span<const AdapterSegment> segments);

inline bool StartsStack(std::span<const AdapterSegment> segments, size_t i) {
  return i == 0 || !segments[i].same_rows(segments[i - 1]);
}
// The stack that begins with segment `first`.
std::span<const AdapterSegment> StackAt(std::span<const AdapterSegment> segments, size_t first);

// InvalidArgument unless the segments are in order, overlap in stacks alone and lie within `rows`.
absl::Status CheckSegmentRows(std::span<const AdapterSegment> segments, int64_t rows);
// The same, and unless all have valid modules of these extents that can be applied beside the
// weight.
absl::Status CheckSegments(std::span<const AdapterSegment> segments, int64_t rows, int64_t inputs,
                           int64_t outputs);

}  // namespace skein
