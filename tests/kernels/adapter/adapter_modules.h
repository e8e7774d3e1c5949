// Random modules of every form, for tests of the adapters' operations.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/adapter/adapter_module.h"
#include "tests/testing/op_testing.h"

namespace skein {

inline AdapterModule RandomModule(TestTensors& t, AdapterForm form, int64_t outputs, int64_t inputs,
                                  int64_t rank, DType dtype = DType::kBF16) {
  AdapterModule module;
  module.form = form;
  module.outputs = outputs;
  module.inputs = inputs;
  module.rank = rank;
  module.scale = 0.75f;
  if (module.low_rank()) {
    module.down = t.Matrix(rank, inputs, dtype);
    module.up = t.Matrix(outputs, rank, dtype);
  }
  if (form == AdapterForm::kInputScaled) module.input_scale = t.Random({inputs}, 0.5f, 1.5f);
  if (form == AdapterForm::kOutputScaled) module.output_scale = t.Random({outputs}, 0.5f, 1.5f);
  if (form == AdapterForm::kInputBlocks) module.blocks = t.Matrix(inputs, rank, dtype);
  if (form == AdapterForm::kInputSums) module.up = t.Matrix(outputs, rank, dtype);
  if (form == AdapterForm::kOutputBlocks) module.blocks = t.Matrix(outputs, rank, dtype);
  return module;
}

// kInputSums whose columns repeat every `period` outputs.
inline AdapterModule RandomTiledSums(TestTensors& t, int64_t outputs, int64_t inputs, int64_t rank,
                                     int64_t period) {
  AdapterModule module = RandomModule(t, AdapterForm::kInputSums, outputs, inputs, rank);
  module.up = t.Matrix(period, rank, DType::kBF16);
  return module;
}

}  // namespace skein
