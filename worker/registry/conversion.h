// Between the messages of the contract and the registry's own types.
#pragma once

#include "absl/status/statusor.h"

#include "skein/v1/registry.pb.h"
#include "worker/adapters/adapter_plan.h"
#include "worker/registry/entry.h"

namespace skein {

StateMix ConvertMix(const v1::StateMix& from);
// InvalidArgument for values that sampling does not take.
absl::StatusOr<SamplingDefaults> ConvertDefaults(const v1::Defaults& from);
// InvalidArgument for a number that names no layout.
absl::StatusOr<TunedStateLayout> ConvertLayout(v1::StateLayout from);

// InvalidArgument for numbers that are not finite, and for a routing rule that there is not.
absl::StatusOr<AdapterOptions> ConvertAdapterOptions(const v1::LoadAdapterRequest& from);

v1::Entry ConvertEntry(const RegistryEntry& from);

}  // namespace skein
