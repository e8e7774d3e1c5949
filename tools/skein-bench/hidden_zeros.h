// How many hidden units of the channel mix are zero in real steps of a model.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "tools/skein-bench/engine.h"

namespace skein::bench {

struct HiddenZeros {
  std::vector<double> by_row;  // share of zeros of each row, over the layers that were looked at
  // Share of units that are not zero in at least one of the first 1, 2, .. rows: index 0 is one
  // row.
  std::vector<double> live;
  int64_t units = 0;  // looked at, of one row

  // 1 where no unit is left out, whatever the rows: hybrids have no zeros.
  double LiveShare(int64_t rows) const {
    return rows > static_cast<int64_t>(live.size()) ? 1.0 : live[static_cast<size_t>(rows - 1)];
  }
  double mean() const;
};

// Runs a few steps of 8 sequences, takes the inputs of the channel mix from their states, and
// multiplies them with the weights of some layers on the CPU. Empty for a hybrid.
absl::StatusOr<HiddenZeros> MeasureHiddenZeros(Engine& engine);

// DataLoss unless each row has `wanted` zeros within 0.01 (in small models within four standard
// errors, if that is more), and for a share of up to 0.85 at least 23% of the units live in two
// rows and 50% in eight: tokens must have zeros of their own.
absl::Status CheckHiddenZeros(const HiddenZeros& zeros, double wanted, int64_t width);

}  // namespace skein::bench
