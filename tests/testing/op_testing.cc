#include "tests/testing/op_testing.h"

#include <algorithm>
#include <limits>

namespace skein {
namespace {

constexpr int64_t kSlotGap = 7;  // elements between records

}  // namespace

TensorView<float> TestTensors::Random(const Shape& shape, float low, float high) {
  std::uniform_real_distribution<float> values(low, high);
  std::vector<float>& data = floats_.emplace_back(NumElements(shape));
  for (float& value : data) value = values(random_);
  return {data.data(), shape};
}

TensorView<float> TestTensors::Output(const Shape& shape) {
  std::vector<float>& data =
      floats_.emplace_back(NumElements(shape), std::numeric_limits<float>::quiet_NaN());
  return {data.data(), shape};
}

TensorView<const int32_t> TestTensors::Ints(const std::vector<int32_t>& values) {
  const std::vector<int32_t>& data = ints_.emplace_back(values);
  return {data.data(), {static_cast<int64_t>(data.size())}};
}

WeightMatrix TestTensors::Matrix(int64_t rows, int64_t cols, DType dtype) {
  const float spread = 1.7f / std::sqrt(static_cast<float>(cols));
  const TensorView<float> values = Random({rows, cols}, -spread, spread);
  if (dtype == DType::kF32) return {values.data(), dtype, rows, cols};
  std::vector<uint16_t>& bits = halves_.emplace_back(rows * cols);
  for (size_t i = 0; i < bits.size(); ++i) {
    bits[i] = dtype == DType::kBF16 ? FloatToBf16(values[i]) : FloatToFp16(values[i]);
  }
  return {bits.data(), dtype, rows, cols};
}

SequenceRows TestTensors::Sequences(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> row_begin = {0}, slots;
  for (size_t i = 0; i < lengths.size(); ++i) {
    row_begin.push_back(row_begin.back() + lengths[i]);
    slots.push_back(static_cast<int32_t>(2 * (lengths.size() - i)));
  }
  return {Ints(row_begin), Ints(slots)};
}

StateTensor TestTensors::State(const SequenceRows& sequences, int64_t elements) {
  const int64_t stride = elements + kSlotGap;
  return {Random({2 * sequences.count() + 1, stride}).data(), stride};
}

TensorView<float> TestTensors::All(const StateTensor& state) const {
  for (const std::vector<float>& data : floats_) {
    if (data.data() == state.base) {
      return {state.base, {static_cast<int64_t>(data.size())}};
    }
  }
  return {};
}

std::vector<float> Collect(const Outputs& outputs) {
  std::vector<float> all;
  for (const TensorView<float>& output : outputs) {
    all.insert(all.end(), output.data(), output.data() + output.size());
  }
  return all;
}

double WorstError(const std::vector<float>& found, const std::vector<float>& expected) {
  if (found.size() != expected.size()) return std::numeric_limits<double>::infinity();
  double worst = 0, largest = 1;
  for (size_t i = 0; i < found.size(); ++i) {
    const double error = std::fabs(static_cast<double>(found[i]) - expected[i]);
    if (!(error <= worst)) worst = error;  // NaN stays
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  return worst / largest;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace skein
