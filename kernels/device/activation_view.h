// Rows of activations whose element type the backend chooses.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "common/base/check.h"
#include "common/tensor/dtype.h"
#include "common/tensor/shape.h"
#include "common/tensor/tensor_view.h"

namespace skein {

// Row-major and contiguous, owns nothing. On the CPU always fp32. On CUDA what a matrix product
// reads is in the type of its weights, so that tensor cores take it as it is; what a product writes
// is fp32 in small steps and 16 bits wide in large ones.
template <typename Void>
class BasicActivationView {
 public:
  using Float = std::conditional_t<std::is_const_v<Void>, const float, float>;

  BasicActivationView() = default;
  BasicActivationView(Void* data, DType dtype, Shape shape)
      : data_(data), dtype_(dtype), shape_(std::move(shape)) {}
  BasicActivationView(Float* data, Shape shape) : data_(data), shape_(std::move(shape)) {}
  template <typename T, typename = std::enable_if_t<std::is_convertible_v<T*, Float*>>>
  BasicActivationView(const TensorView<T>& view)  // NOLINT: an fp32 tensor is one
      : data_(view.data()), shape_(view.shape()) {}
  template <typename U, typename = std::enable_if_t<std::is_const_v<Void> && !std::is_const_v<U>>>
  BasicActivationView(const BasicActivationView<U>& other)  // NOLINT: constant view of mutable rows
      : data_(other.data()), dtype_(other.dtype()), shape_(other.shape()) {}

  Void* data() const { return data_; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t size() const { return empty() ? 0 : NumElements(shape_); }
  bool empty() const { return data_ == nullptr; }

  // Rows [begin, begin + count).
  BasicActivationView Rows(int64_t begin, int64_t count) const {
    SKEIN_CHECK(begin >= 0 && count >= 0 && begin + count <= shape_[0]);
    using Byte = std::conditional_t<std::is_const_v<Void>, const char, char>;
    Shape shape = shape_;
    shape[0] = count;
    const int64_t row_bytes = size() / shape_[0] * DTypeBytes(dtype_);
    return {static_cast<Byte*>(data_) + begin * row_bytes, dtype_, std::move(shape)};
  }

  // The rest only for fp32 rows in host memory: what the CPU bodies work on.
  Float* floats() const {
    SKEIN_CHECK(dtype_ == DType::kF32);
    return static_cast<Float*>(data_);
  }
  Float* row(int64_t i) const { return floats() + i * (size() / shape_[0]); }
  Float& operator[](int64_t i) const { return floats()[i]; }
  TensorView<Float> f32() const {
    return empty() ? TensorView<Float>() : TensorView<Float>(floats(), shape_);
  }

 private:
  Void* data_ = nullptr;
  DType dtype_ = DType::kF32;
  Shape shape_;
};

using ActivationView = BasicActivationView<void>;
using ConstActivationView = BasicActivationView<const void>;

}  // namespace skein
