#include "tests/worker/registry/state_layouts.h"

#include <cstring>
#include <string>
#include <utility>

#include "common/base/check.h"

namespace skein {
namespace {

void Add(StateLayout& layout, const char* name, int layer, Shape shape, DType dtype) {
  const int64_t bytes = NumElements(shape) * DTypeBytes(dtype);
  layout.fields.push_back({name, layer, layout.bytes, std::move(shape), dtype});
  layout.bytes += (bytes + 255) / 256 * 256;
}

}  // namespace

StateLayout TestStateLayout(const TestStateShape& shape) {
  StateLayout layout;
  const Shape width = {shape.heads * shape.head_size};
  const Shape wkv = {shape.heads, shape.head_size, shape.head_size};
  for (int layer = 0; layer < shape.layers; ++layer) {
    if (shape.attention.contains(layer)) continue;
    if (shape.attention.empty()) Add(layout, "shift_att", layer, width, DType::kF32);
    Add(layout, "wkv", layer, wkv, shape.dtype);
    if (shape.attention.empty()) Add(layout, "shift_ffn", layer, width, DType::kF32);
  }
  return layout;
}

ModelDescription TestDescription(const TestStateShape& shape) {
  ModelDescription description;
  description.num_layers = shape.layers;
  return description;
}

std::vector<float> FieldValues(const InitialState& state, const StateLayout& layout,
                               const std::string& name, int layer) {
  for (const StateField& field : layout.fields) {
    if (field.name != name || field.layer != layer) continue;
    const auto* from = static_cast<const std::byte*>(state.record->data()) + field.offset;
    std::vector<float> values(static_cast<size_t>(NumElements(field.shape)));
    for (size_t i = 0; i < values.size(); ++i) {
      if (field.dtype == DType::kF16) {
        uint16_t half = 0;
        std::memcpy(&half, from + i * sizeof(half), sizeof(half));
        values[i] = Fp16ToFloat(half);
      } else {
        std::memcpy(&values[i], from + i * sizeof(float), sizeof(float));
      }
    }
    return values;
  }
  SKEIN_CHECK(false);
  return {};
}

}  // namespace skein
