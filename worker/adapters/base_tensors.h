// The tensors of the model that an adapter is for.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/tensor/shape.h"
#include "worker/weights/model_files.h"

namespace skein {

// Names are native ones (adapter_name.h), such as "blocks.3.att.key.weight", whatever the
// checkpoint calls them; linear weights are [outputs, inputs].
class BaseTensors {
 public:
  virtual ~BaseTensors() = default;
  // nullptr if the model has no such tensor. Valid as long as this object.
  virtual const Shape* Find(absl::string_view name) const = 0;
  // Values of indices [begin, begin + count) of the first dimension, as fp32. NotFound; DataLoss if
  // they cannot be had any more.
  virtual absl::Status Read(absl::string_view name, int64_t begin, int64_t count,
                            float* out) const = 0;
};

// Those of a checkpoint, which must outlive this object.
class CheckpointTensors : public BaseTensors {
 public:
  explicit CheckpointTensors(const ModelFiles& files);

  const Shape* Find(absl::string_view name) const override;
  absl::Status Read(absl::string_view name, int64_t begin, int64_t count,
                    float* out) const override;

 private:
  const ModelFiles& files_;
  absl::btree_map<std::string, const TensorEntry*> tensors_;
};

}  // namespace skein
