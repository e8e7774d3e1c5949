// What LoadModel asks for, checked against what the operator allows.
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "skein/v1/workers.pb.h"
#include "worker/engine/model_source.h"
#include "worker/registry/roots.h"

namespace skein {

struct ModelRequestRules {
  FileRoots models;    // of models and tokenizers; empty: there are no changes
  FileRoots adapters;  // of those that are merged
  bool use_cuda = false;
  DType state_dtype = DType::kF32;           // where a request gives none
  absl::Duration grace = absl::Seconds(30);  // for what still runs on the model before
};

// FailedPrecondition, with what to set, if models cannot be changed here.
absl::Status CheckMayChangeModels(const ModelRequestRules& rules);

// Errors as CheckMayChangeModels and FileRoots::Find have them; InvalidArgument for values that no
// model can be loaded with; Unimplemented for weight formats that there are not.
absl::StatusOr<ModelSource> ConvertLoadModel(const v1::LoadModelRequest& request,
                                             const ModelRequestRules& rules);

}  // namespace skein
