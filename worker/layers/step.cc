#include "worker/layers/step.h"

#include <utility>

namespace skein {

Step MakeStep(const ModelBatch& batch, const StateLayout& layout, const Stream& stream) {
  return {{batch.row_begin, batch.slots},
          batch.positions,
          static_cast<std::byte*>(batch.state.base),
          layout.bytes,
          stream};
}

int64_t AddStateField(StateLayout& layout, std::string name, int layer, Shape shape) {
  constexpr int64_t kAlignment = 64;
  const int64_t offset = layout.bytes;
  const int64_t bytes = NumElements(shape) * static_cast<int64_t>(sizeof(float));
  layout.fields.push_back({std::move(name), layer, offset, std::move(shape), DType::kF32});
  layout.bytes += (bytes + kAlignment - 1) / kAlignment * kAlignment;
  return offset;
}

}  // namespace skein
