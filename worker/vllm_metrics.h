// The worker's metrics under the names and labels of vLLM, for what already knows those: scaling
// recipes, and the endpoint pickers of the Kubernetes inference gateway. docs/operations.md says
// which stands for which.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include "common/base/clock.h"

namespace skein {

// Thread-safe: made anew from the registry at each collection.
class VllmMetrics final : public prometheus::Collectable {
 public:
  struct Options {
    int page_tokens = 16;
    const Clock* clock = &Clock::Real();
  };
  VllmMetrics(std::shared_ptr<prometheus::Registry> registry, Options options);

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  const Options options_;
};

}  // namespace skein
