// What every layer of a step shares: whose rows they are, where the states lie, where the work
// goes.
#pragma once

#include <cstdint>
#include <string>

#include "common/tensor/tensor_view.h"
#include "kernels/device/sequences.h"
#include "kernels/device/stream.h"
#include "worker/models/model.h"

namespace skein {

struct Step {
  SequenceRows sequences;
  TensorView<const int32_t> positions;  // [rows]
  std::byte* states = nullptr;          // [slots, state_bytes]
  int64_t state_bytes = 0;
  Stream stream;

  int64_t rows() const { return positions.dim(0); }
  // The fp32 field that begins `offset` bytes into each state record.
  StateTensor State(int64_t offset) const {
    return {reinterpret_cast<float*>(states + offset),
            state_bytes / static_cast<int64_t>(sizeof(float))};
  }
};

Step MakeStep(const ModelBatch& batch, const StateLayout& layout, const Stream& stream);

// Appends an fp32 field and returns its offset. Fields are aligned to 64 bytes, and so is the
// record.
int64_t AddStateField(StateLayout& layout, std::string name, int layer, Shape shape);

}  // namespace skein
