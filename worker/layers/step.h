// What every layer of a step shares: whose rows they are, where the states lie, where the work
// goes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "common/tensor/tensor_view.h"
#include "kernels/device/sequences.h"
#include "kernels/device/stream.h"
#include "worker/layers/step_adapters.h"
#include "worker/layers/step_types.h"
#include "worker/models/model.h"

namespace skein {

// Where a field lies in the state record.
struct StatePart {
  int64_t offset = 0;  // in bytes
  DType dtype = DType::kF32;
};

struct Step {
  SequenceRows sequences;
  TensorView<const int32_t> positions;  // [rows]
  std::byte* states = nullptr;          // [slots, state_bytes]
  int64_t state_bytes = 0;
  StepTypes types;
  Stream stream;
  StepAdapters* adapters = nullptr;                // null: no row has one
  std::span<const float* const> wkv_factors = {};  // of the layer that runs

  int64_t rows() const { return positions.dim(0); }
  // Of the layer that runs.
  ProductAdapters Adapters(AdapterPlace place, int64_t inputs) const {
    return adapters == nullptr ? ProductAdapters() : adapters->At(place, inputs);
  }
  StateTensor State(const StatePart& part) const {
    return {states + part.offset, state_bytes, part.dtype};
  }
};

Step MakeStep(const ModelBatch& batch, const StateLayout& layout, const StepTypes& types,
              const Stream& stream);

// Appends a field. Fields are aligned to 256 bytes, and so is the record.
StatePart AddStateField(StateLayout& layout, std::string name, int layer, Shape shape,
                        DType dtype = DType::kF32);

}  // namespace skein
