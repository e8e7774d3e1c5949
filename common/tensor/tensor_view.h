// A pointer with a shape. Owns nothing: the header that hands one out says who does, and for how
// long.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "common/base/check.h"
#include "common/tensor/shape.h"

namespace skein {

// Row-major and contiguous. On the host or on the device, as its owner says.
template <typename T>
class TensorView {
 public:
  TensorView() = default;
  TensorView(T* data, Shape shape) : data_(data), shape_(std::move(shape)) {}
  // A view of mutable elements is also a view of constant ones.
  template <typename U, typename = std::enable_if_t<std::is_same_v<T, const U>>>
  TensorView(const TensorView<U>& other) : data_(other.data()), shape_(other.shape()) {}  // NOLINT

  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t size() const { return empty() ? 0 : NumElements(shape_); }
  bool empty() const { return data_ == nullptr; }  // an optional tensor that is absent

  // Elements of one index of the first dimension.
  int64_t stride0() const {
    int64_t stride = 1;
    for (int i = 1; i < rank(); ++i) stride *= shape_[i];
    return stride;
  }
  // Row `i` of the first dimension.
  T* row(int64_t i) const { return data_ + i * stride0(); }
  T& operator[](int64_t i) const { return data_[i]; }  // by position in memory

  // Rows [begin, begin + count) of the first dimension.
  TensorView Rows(int64_t begin, int64_t count) const {
    SKEIN_CHECK(begin >= 0 && count >= 0 && begin + count <= shape_[0]);
    Shape shape = shape_;
    shape[0] = count;
    return TensorView(row(begin), std::move(shape));
  }

 private:
  T* data_ = nullptr;
  Shape shape_;
};

}  // namespace skein
