#include "kernels/rope_table/rope_table.h"

#include <cmath>
#include <vector>

#include "kernels/device/check_args.h"

namespace skein {
namespace {

// Basic arithmetic alone is the same everywhere; libm's functions differ between processors in the
// last bit.

double PowInt(double base, int64_t exponent) {
  double result = 1.0;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1) result *= base;
    base *= base;
  }
  return result;
}

// x^(-1 / degree) for x > 1: Newton's iteration for the root of r^-degree = x, from below.
double InverseRoot(double x, int64_t degree) {
  const double n = static_cast<double>(degree);
  double r = 1.0;
  // A start under the root: halve until r^degree * x <= 1 holds.
  while (PowInt(r, degree) * x > 1.0) r *= 0.5;
  for (int i = 0; i < 200; ++i) {
    const double next = r + r * (1.0 - PowInt(r, degree) * x) / n;
    if (next <= r) break;  // rounding has ended the climb
    r = next;
  }
  return r;
}

struct SinCos {
  double sine, cosine;
};

// Taylor series on [-pi/4, pi/4] after taking away a multiple of pi/2 in three parts. The first two
// have 33 bits, so multiples below 2^20 are exact, and beyond the error stays far under fp32's for
// any position that fits in memory.
SinCos SinCosOf(double angle) {
  constexpr double kPart1 = 0x1.921fb544p+0, kPart2 = 0x1.0b4611a6p-34;
  constexpr double kPart3 = 0x1.3198a2e037073p-69;
  const double quarter = std::floor(angle * 0.63661977236758134308 + 0.5);
  const double x = ((angle - quarter * kPart1) - quarter * kPart2) - quarter * kPart3;
  const double z = x * x;
  double sine = 0, cosine = 0;
  for (int i = 17; i >= 3; i -= 2) {
    sine = (sine + (i / 2 % 2 == 1 ? -1.0 : 1.0)) * z / (i * (i - 1.0));
  }
  for (int i = 18; i >= 2; i -= 2) {
    cosine = (cosine + (i / 2 % 2 == 1 ? -1.0 : 1.0)) * z / (i * (i - 1.0));
  }
  sine = x + x * sine;
  cosine = 1.0 + cosine;
  switch (static_cast<int64_t>(quarter) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

}  // namespace

absl::Status RopeTableArgs::Validate() const {
  const Shape shape = {positions.empty() ? 0 : positions.dim(0),
                       cosines.rank() == 2 ? cosines.dim(1) : 0};
  return ArgsCheck("rope_table")
      .That(theta > 1.0, "theta must be over 1")
      .Shape("cosines", cosines, shape)
      .Shape("sines", sines, shape)
      .status();
}

void RopeTableRef(const RopeTableArgs& args) {
  const int64_t half = args.cosines.dim(1);
  for (int64_t m = 0; m < args.positions.dim(0); ++m) {
    for (int64_t i = 0; i < half; ++i) {
      const double angle = args.positions[m] * std::pow(args.theta, -static_cast<double>(i) /
                                                                        static_cast<double>(half));
      args.cosines.row(m)[i] = static_cast<float>(std::cos(angle));
      args.sines.row(m)[i] = static_cast<float>(std::sin(angle));
    }
  }
}

void RopeTableCpu(const RopeTableArgs& args, ParallelFor& threads) {
  const int64_t half = args.cosines.dim(1);
  const double base = InverseRoot(args.theta, half);
  threads.Run(args.positions.dim(0), 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < half; ++i) {
      const double frequency = PowInt(base, i);
      for (int64_t m = begin; m < end; ++m) {
        const SinCos at = SinCosOf(args.positions[m] * frequency);
        args.cosines.row(m)[i] = static_cast<float>(at.cosine);
        args.sines.row(m)[i] = static_cast<float>(at.sine);
      }
    }
  });
}

}  // namespace skein
