// What a sequence starts from in place of zeros.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/device/arena.h"

namespace skein {

// Factors of the WKV output of a sequence, for as long as it runs.
struct WkvFactors {
  // [H N] each; empty, or beyond the end where layers without a recurrence come last: 1.
  std::vector<std::vector<float>> layers;
};

// A record of the model's StateLayout where the model computes. Never changed once made; shared by
// the registry and by the requests that use it.
struct InitialState {
  std::unique_ptr<Arena> record;
  std::string content_hash;  // of the values alone, whatever file they came in
  std::unique_ptr<const WkvFactors> factors = nullptr;  // null: 1; in host memory
};

}  // namespace skein
