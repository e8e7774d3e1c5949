#include "tests/testing/op_testing.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace skein {
namespace {

constexpr int64_t kSlotGap = 8;  // elements between records, which keeps them aligned

uint16_t Bits(float value, DType dtype) {
  return dtype == DType::kBF16 ? FloatToBf16(value) : FloatToFp16(value);
}
float FromBits(uint16_t bits, DType dtype) {
  return dtype == DType::kBF16 ? Bf16ToFloat(bits) : Fp16ToFloat(bits);
}
float Rounded(float value, DType dtype) {
  return dtype == DType::kF32 ? value : FromBits(Bits(value, dtype), dtype);
}

}  // namespace

std::shared_ptr<void> HostAllocate(size_t bytes) {
  return {std::aligned_alloc(64, (bytes + 63) / 64 * 64), std::free};
}

template <typename T>
T* TestTensors::New(int64_t elements) {
  buffers_.push_back({allocate_(std::max<size_t>(1, elements * sizeof(T))), elements});
  return static_cast<T*>(buffers_.back().data.get());
}

TensorView<float> TestTensors::Random(const Shape& shape, float low, float high) {
  std::uniform_real_distribution<float> values(low, high);
  float* data = New<float>(NumElements(shape));
  for (int64_t i = 0; i < NumElements(shape); ++i) data[i] = values(random_);
  return {data, shape};
}

TensorView<float> TestTensors::Output(const Shape& shape) {
  float* data = New<float>(NumElements(shape));
  std::fill_n(data, NumElements(shape), std::numeric_limits<float>::quiet_NaN());
  return {data, shape};
}

ActivationView TestTensors::RandomOperand(const Shape& shape, float low, float high) {
  const TensorView<float> values = Random(shape, low, high);
  for (int64_t i = 0; i < values.size(); ++i) values[i] = Rounded(values[i], operand_);
  if (stored_ == DType::kF32) return values;
  uint16_t* bits = New<uint16_t>(values.size());
  for (int64_t i = 0; i < values.size(); ++i) bits[i] = Bits(values[i], stored_);
  return {bits, stored_, shape};
}

ActivationView TestTensors::OutputOperand(const Shape& shape) {
  if (stored_ == DType::kF32) return Output(shape);
  const int64_t size = NumElements(shape);
  uint16_t* bits = New<uint16_t>(size);
  std::fill_n(bits, size, Bits(std::numeric_limits<float>::quiet_NaN(), stored_));
  return {bits, stored_, shape};
}

TensorView<const int32_t> TestTensors::Ints(const std::vector<int32_t>& values) {
  int32_t* data = New<int32_t>(static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), data);
  return {data, {static_cast<int64_t>(values.size())}};
}

WeightMatrix TestTensors::Matrix(int64_t rows, int64_t cols, DType dtype) {
  const float spread = 1.7f / std::sqrt(static_cast<float>(cols));
  const TensorView<float> values = Random({rows, cols}, -spread, spread);
  if (dtype == DType::kF32) return {values.data(), dtype, rows, cols};
  uint16_t* bits = New<uint16_t>(rows * cols);
  for (int64_t i = 0; i < rows * cols; ++i) {
    bits[i] = Bits(values[i], dtype);
  }
  return {bits, dtype, rows, cols};
}

SequenceRows TestTensors::Sequences(const std::vector<int32_t>& lengths) {
  std::vector<int32_t> row_begin = {0}, slots;
  for (size_t i = 0; i < lengths.size(); ++i) {
    row_begin.push_back(row_begin.back() + lengths[i]);
    slots.push_back(static_cast<int32_t>(2 * (lengths.size() - i)));
  }
  const int32_t longest = *std::max_element(lengths.begin(), lengths.end());
  return {Ints(row_begin), Ints(slots), row_begin.back(), longest};
}

TensorView<const int32_t> TestTensors::Positions(const SequenceRows& sequences) {
  std::vector<int32_t> positions;
  for (int32_t s = 0; s < sequences.count(); ++s) {
    for (int64_t m = sequences.begin(s); m < sequences.end(s); ++m) {
      positions.push_back(static_cast<int32_t>(100 * s + m - sequences.begin(s)));
    }
  }
  return Ints(positions);
}

StateTensor TestTensors::State(const SequenceRows& sequences, int64_t elements) {
  const int64_t stride = elements + kSlotGap;
  return {Random({2 * sequences.count() + 1, stride}).data(),
          stride * static_cast<int64_t>(sizeof(float))};
}

StateTensor TestTensors::RoundedState(const SequenceRows& sequences, int64_t elements) {
  const int64_t stride = elements + kSlotGap;
  const TensorView<float> values = Random({2 * sequences.count() + 1, stride});
  for (int64_t i = 0; i < values.size(); ++i) values[i] = Rounded(values[i], operand_);
  if (stored_ == DType::kF32) return {values.data(), stride * 4};
  uint16_t* bits = New<uint16_t>(values.size());
  for (int64_t i = 0; i < values.size(); ++i) bits[i] = Bits(values[i], stored_);
  return {bits, stride * 2, stored_};
}

TensorView<float> TestTensors::All(const StateTensor& state) const {
  for (const Buffer& buffer : buffers_) {
    if (buffer.data.get() == state.base) {
      return {static_cast<float*>(state.base), {buffer.elements}};
    }
  }
  return {};
}

ConstActivationView SlotView(const StateTensor& state, int64_t slot, int64_t elements) {
  return {static_cast<const char*>(state.base) + slot * state.slot_stride, state.dtype, {elements}};
}

std::vector<float> Collect(const Outputs& outputs) {
  std::vector<float> all;
  for (const ConstActivationView& output : outputs) {
    for (int64_t i = 0; i < output.size(); ++i) {
      all.push_back(output.dtype() == DType::kF32
                        ? output[i]
                        : FromBits(static_cast<const uint16_t*>(output.data())[i], output.dtype()));
    }
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
