// Small functions in double precision, from which the operations' references are put together.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace skein {

inline double SigmoidRef(double x) { return 1.0 / (1.0 + std::exp(-x)); }
inline double SoftplusRef(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
}

inline void LayerNormRef(const float* x, const float* w, const float* b, double eps, int64_t n,
                         float* y) {
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i];
  mean /= static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean);
  const double scale = 1.0 / std::sqrt(variance / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>((x[i] - mean) * scale * w[i] + b[i]);
}

inline void RmsNormRef(const float* x, const float* w, double eps, int64_t n, float* y) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const double scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(x[i] * scale * w[i]);
}

}  // namespace skein
