#include "kernels/adapter/adapter_products.h"

#include "kernels/cpu/isa.h"
#include "kernels/linear/products_lanes.h"

namespace skein {
namespace {

WeightType TypeOf(const WeightMatrix& weight) {
  switch (weight.dtype) {
    case DType::kBF16:
      return WeightType::kBf16;
    case DType::kF16:
      return WeightType::kF16;
    default:
      return WeightType::kF32;
  }
}

}  // namespace

WeightMatrix RowsOf(const WeightMatrix& matrix, int64_t begin, int64_t count) {
  WeightMatrix part = matrix;
  part.data =
      static_cast<const char*>(matrix.data) + begin * matrix.cols * DTypeBytes(matrix.dtype);
  part.rows = count;
  return part;
}

void MultiplyRows(const WeightMatrix& weight, int64_t first, int64_t last, const InputRows& x,
                  const OutputRows& y) {
  ProductCall call;
  call.weight = weight.data;
  call.type = TypeOf(weight);
  call.cols = weight.cols;
  call.x = x.data;
  call.x_stride = x.stride;
  call.rows = x.count;
  call.y = y.data;
  call.y_stride = y.stride;
  call.begin = first;
  call.end = last;
  SKEIN_ISA(Products)(call);
}

}  // namespace skein
