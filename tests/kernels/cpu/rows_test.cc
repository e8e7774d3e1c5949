#include "kernels/cpu/rows.h"

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "gtest/gtest.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "tests/testing/op_testing.h"

namespace skein {
namespace {

// Distance in units of the last place of `exact`, rounded to fp32.
double Ulps(float found, double exact) {
  const float rounded = static_cast<float>(exact);
  if (found == rounded) return 0;
  const double ulp = std::max(std::nextafter(std::fabs(rounded), INFINITY) - std::fabs(rounded),
                              std::numeric_limits<float>::denorm_min());
  return std::fabs(static_cast<double>(found) - exact) / ulp;
}

struct Function {
  const char* name;
  std::function<void(const float*, int64_t, float*)> rows;
  double (*exact)(double);
  float low, high;
  double ulps;
};

void Finish(Activation activation, const float* x, int64_t n, float* y) {
  std::copy_n(x, n, y);
  SKEIN_ISA(FinishRow)(y, nullptr, activation, n);
}

std::vector<Function> Functions() {
  const auto finish = [](Activation activation) {
    return [=](const float* x, int64_t n, float* y) { Finish(activation, x, n, y); };
  };
  return {
      {"exp",
       [](const float* x, int64_t n, float* y) {
         SKEIN_ISA(ExpRow)
         (x, n, y);
       },
       [](double x) { return std::exp(x); }, -87.0f, 88.7f, 2.0},
      {"softplus",
       [](const float* x, int64_t n, float* y) {
         SKEIN_ISA(SoftplusRow)
         (x, n, y);
       },
       [](double x) { return SoftplusRef(x); }, -80.0f, 100.0f, 3.0},
      {"sigmoid", finish(Activation::kSigmoid), [](double x) { return SigmoidRef(x); }, -85.0f,
       40.0f, 3.0},
      {"tanh", finish(Activation::kTanh), [](double x) { return std::tanh(x); }, -12.0f, 12.0f,
       3.0},
      {"small tanh", finish(Activation::kTanh), [](double x) { return std::tanh(x); }, -0.7f, 0.7f,
       3.0},
      {"squared relu", finish(Activation::kReluSquared),
       [](double x) { return x > 0 ? x * x : 0.0; }, -3.0f, 3.0f, 1.0},
      {"decay", finish(Activation::kDecay),
       [](double x) { return std::exp(-std::exp(-0.5) * SigmoidRef(x)); }, -30.0f, 30.0f, 3.0},
  };
}

TEST(RowsTest, ElementaryFunctionsAreWithinAFewUlpsOnEveryInstructionSet) {
  constexpr int64_t kCount = 100003;
  TestTensors tensors(3);
  for (const Function& f : Functions()) {
    const TensorView<float> x = tensors.Random({kCount}, f.low, f.high);
    std::vector<float> first;
    for (const Isa isa : SupportedIsas()) {
      SCOPED_TRACE(std::string(f.name) + " " + std::string(IsaName(isa)));
      const ScopedIsa scope(isa);
      std::vector<float> y(kCount);
      f.rows(x.data(), kCount, y.data());
      if (first.empty()) first = y;
      EXPECT_TRUE(SameBits(y, first));
      double worst = 0;
      for (int64_t i = 0; i < kCount; ++i) worst = std::max(worst, Ulps(y[i], f.exact(x[i])));
      EXPECT_LE(worst, f.ulps);
    }
  }
}

TEST(RowsTest, ElementaryFunctionsKeepLimitsAndNan) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  struct Case {
    int function;
    float x, y;
  };
  const std::vector<Function> functions = Functions();
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    for (const Case& c :
         {Case{0, -inf, 0}, Case{0, inf, inf}, Case{0, 0, 1}, Case{0, 200, inf}, Case{0, -200, 0},
          Case{1, -inf, 0}, Case{1, inf, inf}, Case{1, 1000, 1000}, Case{2, -inf, 0},
          Case{2, inf, 1}, Case{2, 0, 0.5f}, Case{3, -inf, -1}, Case{3, inf, 1}, Case{3, 0, 0},
          Case{5, -1, 0}, Case{6, -200, 1}}) {
      SCOPED_TRACE(std::string(functions[c.function].name) + " of " + std::to_string(c.x));
      float y = nan;
      functions[c.function].rows(&c.x, 1, &y);
      EXPECT_EQ(y, c.y);
    }
    for (const Function& f : functions) {
      float y = 0;
      f.rows(&nan, 1, &y);
      EXPECT_TRUE(std::isnan(y)) << f.name;
    }
  }
}

constexpr int64_t kLengths[] = {1, 5, 15, 16, 17, 31, 64, 100, 257, 1024};

TEST(RowsTest, NormsAgreeWithDoublePrecisionAtAnyLength) {
  TestTensors tensors(4);
  for (const int64_t n : kLengths) {
    const auto x = tensors.Random({n}, 2.0f, 5.0f), w = tensors.Random({n}),
               b = tensors.Random({n});
    std::vector<float> layer(n), rms(n), first_layer, first_rms;
    LayerNormRef(x.data(), w.data(), b.data(), 1e-5, n, layer.data());
    RmsNormRef(x.data(), w.data(), 1e-6, n, rms.data());
    for (const Isa isa : SupportedIsas()) {
      SCOPED_TRACE(std::string(IsaName(isa)) + " " + std::to_string(n));
      const ScopedIsa scope(isa);
      std::vector<float> found_layer(n), found_rms(n);
      SKEIN_ISA(LayerNormRow)(x.data(), w.data(), b.data(), 1e-5f, n, found_layer.data());
      SKEIN_ISA(RmsNormRow)(x.data(), w.data(), 1e-6f, n, found_rms.data());
      EXPECT_LE(WorstError(found_layer, layer), 1e-5);
      EXPECT_LE(WorstError(found_rms, rms), 1e-6);
      if (first_rms.empty()) {
        first_layer = found_layer;
        first_rms = found_rms;
      }
      EXPECT_TRUE(SameBits(found_layer, first_layer));
      EXPECT_TRUE(SameBits(found_rms, first_rms));
    }
  }
}

TEST(RowsTest, RowsEndWhereTheyEnd) {
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    for (const int64_t n : kLengths) {
      std::vector<float> x(n, 1.0f), y(n + 20, 7.0f);
      SKEIN_ISA(LerpRow)(x.data(), x.data(), x.data(), n, y.data());
      SKEIN_ISA(SiluMulRow)(x.data(), x.data(), n, y.data());
      SKEIN_ISA(AddRow)(x.data(), x.data(), n, y.data());
      SKEIN_ISA(FinishRow)(y.data(), x.data(), Activation::kTanh, n);
      for (int64_t i = n; i < n + 20; ++i) ASSERT_EQ(y[i], 7.0f) << n;
    }
  }
}

TEST(RowsTest, RotationKeepsLengthsAndTurnsPairs) {
  const std::vector<float> x = {1, 2, 3, 0, 0, 0}, cosines = {0, 1, 0.6f}, sines = {1, 0, 0.8f};
  for (const Isa isa : SupportedIsas()) {
    const ScopedIsa scope(isa);
    std::vector<float> y(6);
    SKEIN_ISA(RotateHead)(x.data(), cosines.data(), sines.data(), 3, y.data());
    EXPECT_EQ(y, (std::vector<float>{0, 2, 3 * 0.6f, 1, 0, 3 * 0.8f}));
  }
}

}  // namespace
}  // namespace skein
