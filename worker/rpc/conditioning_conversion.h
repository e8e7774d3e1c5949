// From a request's conditioning to states and adapters of the registry.
#pragma once

#include "absl/status/statusor.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/conditioning.h"
#include "worker/registry/registry.h"

namespace skein {

struct ConvertedConditioning {
  Conditioning engine;
  SamplingDefaults defaults;  // of the entry that was named
};

// Errors as Registry::Resolve and ResolveAdapter have them. The state that came with an adapter is
// started from if the request names none; InvalidArgument if it would have to be two.
absl::StatusOr<ConvertedConditioning> ConvertConditioning(const v1::Conditioning& from,
                                                          const Registry& registry);

}  // namespace skein
