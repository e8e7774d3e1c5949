#include "kernels/linear/linear.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/isa.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/products_lanes.h"

namespace skein {
namespace {

// Outputs that a thread takes at a time: a multiple of every tile width in products_lanes.cc.
constexpr int64_t kUnit = 24;

int64_t Units(const WeightMatrix& weight) { return (weight.rows + kUnit - 1) / kUnit; }

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

double Activated(double x, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return x;
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kSigmoid:
      return 1.0 / (1.0 + std::exp(-x));
    case Activation::kReluSquared:
      return x > 0 ? x * x : 0.0;
    case Activation::kDecay:
      return std::exp(-std::exp(-0.5) / (1.0 + std::exp(-x)));
  }
  return x;
}

// Outputs [begin, end) of one projection, unfinished.
void RunProducts(const Projection& p, int64_t begin, int64_t end) {
  ProductCall call;
  call.weight = p.weight.data;
  call.type = TypeOf(p.weight);
  call.cols = p.weight.cols;
  call.x = p.x.floats();
  call.x_stride = p.weight.cols;
  call.rows = p.x.dim(0);
  call.y = p.y.floats();
  call.y_stride = p.weight.rows;
  call.begin = begin;
  call.end = end;
  SKEIN_ISA(Products)(call);
}

const float* BiasAt(const Projection& p, int64_t output) {
  return p.bias.empty() ? nullptr : p.bias.data() + output;
}

// Calls work(projection, first output, last output) for the outputs of units [begin, end) of all
// projections in a row.
template <typename F>
void ForUnits(std::span<const Projection> projections, int64_t begin, int64_t end, F work) {
  for (const Projection& p : projections) {
    const int64_t units = Units(p.weight);
    const int64_t first = std::max<int64_t>(begin, 0);
    const int64_t last = std::min(end, units);
    if (first < last) work(p, first * kUnit, std::min(last * kUnit, p.weight.rows));
    begin -= units;
    end -= units;
  }
}

}  // namespace

absl::Status Projection::Validate() const {
  const bool known =
      weight.dtype == DType::kF32 || weight.dtype == DType::kBF16 || weight.dtype == DType::kF16;
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 0;
  return ArgsCheck("projection")
      .That(!weight.empty() && known, "weight must be fp32, bf16 or fp16")
      .Shape("x", x, {rows, weight.cols})
      .Shape("y", y, {rows, weight.rows})
      .OptionalShape("bias", bias, {weight.rows})
      .status();
}

void ProjectCpu(std::span<const Projection> projections, ParallelFor& threads) {
  int64_t units = 0;
  for (const Projection& p : projections) units += Units(p.weight);
  threads.Run(units, 1, [&](int64_t begin, int64_t end) {
    ForUnits(projections, begin, end, [](const Projection& p, int64_t first, int64_t last) {
      RunProducts(p, first, last);
      if (p.bias.empty() && p.activation == Activation::kNone) return;
      for (int64_t m = 0; m < p.x.dim(0); ++m) {
        SKEIN_ISA(FinishRow)(p.y.row(m) + first, BiasAt(p, first), p.activation, last - first);
      }
    });
  });
}

void ProjectAndAddCpu(const Projection& projection, TensorView<float> residual,
                      ParallelFor& threads) {
  threads.Run(Units(projection.weight), 1, [&](int64_t begin, int64_t end) {
    ForUnits({&projection, 1}, begin, end, [&](const Projection& p, int64_t first, int64_t last) {
      RunProducts(p, first, last);
      for (int64_t m = 0; m < p.x.dim(0); ++m) {
        SKEIN_ISA(AddRow)
        (p.y.row(m) + first, BiasAt(p, first), last - first, residual.row(m) + first);
      }
    });
  });
}

void ProjectRef(const Projection& p) {
  for (int64_t m = 0; m < p.x.dim(0); ++m) {
    for (int64_t o = 0; o < p.weight.rows; ++o) {
      double sum = p.bias.empty() ? 0.0 : p.bias[o];
      for (int64_t k = 0; k < p.weight.cols; ++k) {
        sum += static_cast<double>(WeightAt(p.weight, o, k)) * p.x.row(m)[k];
      }
      float& y = p.y.row(m)[o];
      y = static_cast<float>(Activated(sum, p.activation) + (p.accumulate ? y : 0.0));
    }
  }
}

float WeightAt(const WeightMatrix& weight, int64_t row, int64_t col) {
  const int64_t at = weight.transposed ? col * weight.rows + row : row * weight.cols + col;
  switch (weight.dtype) {
    case DType::kBF16:
      return Bf16ToFloat(static_cast<const uint16_t*>(weight.data)[at]);
    case DType::kF16:
      return Fp16ToFloat(static_cast<const uint16_t*>(weight.data)[at]);
    default:
      return static_cast<const float*>(weight.data)[at];
  }
}

void WeightRow(const WeightMatrix& weight, int64_t row, float* out) {
  SKEIN_ISA(WidenRow)(weight.data, TypeOf(weight), row * weight.cols, weight.cols, out);
}

}  // namespace skein
