// A product with an adapter beside the weight, as a model would run it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/check.h"
#include "kernels/adapter/adapter_in.h"
#include "kernels/adapter/adapter_out.h"
#include "kernels/linear/linear.h"

namespace skein {

// fp32 matrix of test data.
inline WeightMatrix AsMatrix(const std::vector<float>& values, int64_t rows, int64_t cols) {
  return {values.data(), DType::kF32, rows, cols};
}

// y of all rows of `x` for W [M, K] and the module, which may be of another M and K if it is
// kNone.
inline std::vector<float> UnmergedProduct(const AdapterModule& module, const WeightMatrix& weight,
                                          const std::vector<float>& x, ParallelFor& threads) {
  const int64_t rows = static_cast<int64_t>(x.size()) / weight.cols;
  const int64_t columns = std::max<int64_t>(module.rank, 1);
  std::vector<float> z(x.size()), inner(rows * columns), y(rows * weight.rows);
  const AdapterSegment segment = {&module, 0, rows};
  const std::span<const AdapterSegment> segments(&segment, 1);
  const TensorView<float> t(inner.data(), {rows, columns});
  const ConstActivationView inputs(x.data(), {rows, weight.cols});
  const ActivationView changed(z.data(), {rows, weight.cols});
  const ActivationView outputs(y.data(), {rows, weight.rows});
  const AdapterInArgs in = {segments, weight.rows, inputs, changed, t};
  const AdapterOutArgs out = {segments, weight.cols, t, outputs};
  SKEIN_CHECK(in.Validate().ok() && out.Validate().ok());
  AdapterInCpu(in, threads);
  const Projection projection = {weight, {}, Activation::kNone, changed, outputs};
  ProjectCpu({&projection, 1}, threads);
  AdapterOutCpu(out, threads);
  return y;
}

// x W^T in double precision.
inline std::vector<float> ExactProduct(const std::vector<float>& weight, int64_t inputs,
                                       const std::vector<float>& x) {
  const int64_t rows = static_cast<int64_t>(x.size()) / inputs;
  const int64_t outputs = static_cast<int64_t>(weight.size()) / inputs;
  std::vector<float> y(rows * outputs);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t m = 0; m < outputs; ++m) {
      double sum = 0;
      for (int64_t k = 0; k < inputs; ++k) {
        sum += static_cast<double>(weight[m * inputs + k]) * x[i * inputs + k];
      }
      y[i * outputs + m] = static_cast<float>(sum);
    }
  }
  return y;
}

}  // namespace skein
