#include "worker/layers/step.h"

#include <utility>

namespace skein {

Step MakeStep(const ModelBatch& batch, const StateLayout& layout, const StepTypes& types,
              const Stream& stream) {
  return {{batch.row_begin, batch.slots, batch.num_rows(), batch.max_rows},
          batch.positions,
          static_cast<std::byte*>(batch.state.base),
          layout.bytes,
          types,
          stream};
}

StatePart AddStateField(StateLayout& layout, std::string name, int layer, Shape shape,
                        DType dtype) {
  constexpr int64_t kAlignment = 256;
  const int64_t offset = layout.bytes;
  const int64_t bytes = NumElements(shape) * DTypeBytes(dtype);
  layout.fields.push_back({std::move(name), layer, offset, std::move(shape), dtype});
  layout.bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return {offset, dtype};
}

}  // namespace skein
