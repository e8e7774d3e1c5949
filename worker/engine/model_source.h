// Which model a worker is to serve, and how.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

#include "common/tensor/dtype.h"
#include "worker/adapters/adapter_plan.h"
#include "worker/registry/entry.h"

namespace skein {

struct LoadedModel;

// An adapter that is merged into the weights: the model serves it and no other.
struct MergedAdapterSource {
  std::string name;  // for what describes the model
  std::string path;  // as LoadAdapter takes it
  AdapterOptions options;
};

struct ModelSource {
  std::string name;         // that requests use
  std::string path;         // as ModelFiles::Open takes it
  std::string tokenizer;    // empty: looked for beside the model
  std::string chat_format;  // empty: recognised
  std::optional<float> rope_theta;
  std::optional<float> rms_norm_eps;
  std::optional<std::vector<std::string>> default_stop;  // unset: chats stop at their format's
  SamplingDefaults defaults;        // where neither a request nor what it names gives them
  DType state_dtype = DType::kF32;  // of the WKV states on CUDA: kF32 or kF16
  std::optional<MergedAdapterSource> merged_adapter;
  std::optional<DType> weight_type;  // of the matrices: kF32, kBF16 or kF16; unset: the file's
  // What is served in place of the files at `path`, if set. Runs on the loader thread.
  std::function<absl::StatusOr<LoadedModel>()> load;
};

}  // namespace skein
