// State layouts of models that nobody loads.
#pragma once

#include <set>
#include <vector>

#include "worker/memory/initial_state.h"
#include "worker/models/model.h"

namespace skein {

struct TestStateShape {
  int layers = 2;
  int64_t heads = 2;
  int64_t head_size = 64;
  std::set<int> attention = {};  // layers without recurrent state; if any, there are no shifts
  DType dtype = DType::kF32;     // of the WKV states
};
// As the models declare them, fields at multiples of 256 bytes.
StateLayout TestStateLayout(const TestStateShape& shape);
ModelDescription TestDescription(const TestStateShape& shape);

// A field of a record in host memory, as fp32. Aborts if the layout has no such field.
std::vector<float> FieldValues(const InitialState& state, const StateLayout& layout,
                               const std::string& name, int layer);

}  // namespace skein
