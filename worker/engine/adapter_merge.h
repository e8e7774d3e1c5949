// An adapter that becomes part of a model's weights while they are read.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "kernels/device/parallel_for.h"
#include "worker/adapters/adapter.h"
#include "worker/adapters/base_tensors.h"
#include "worker/engine/model_source.h"
#include "worker/weights/model_files.h"

namespace skein {

// For one load. Not thread-safe.
class AdapterMerge {
 public:
  // Reads the adapter for the model of `files`, which must outlive it. Errors as LoadAdapter has
  // them, with "merged_adapter: " in front; InvalidArgument for a mixture of experts, which is no
  // change of weights.
  static absl::StatusOr<std::unique_ptr<AdapterMerge>> Open(const MergedAdapterSource& source,
                                                            const ModelFiles& files,
                                                            int num_threads);

  // The tensor that the checkpoint calls `name`, in fp32, if the adapter changes it.
  absl::StatusOr<std::optional<std::vector<float>>> Merged(const std::string& name);
  // After the load. InvalidArgument, naming a layer, unless all that the adapter changes was
  // wanted.
  absl::Status CheckUsed() const;

  const Adapter& adapter() const { return adapter_; }

 private:
  AdapterMerge(const ModelFiles& files, int num_threads) : base_(files), threads_(num_threads) {}

  const CheckpointTensors base_;
  ParallelFor threads_;
  Adapter adapter_;
  std::set<std::string> used_;  // native names
};

}  // namespace skein
