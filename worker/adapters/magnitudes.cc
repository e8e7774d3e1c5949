#include "worker/adapters/magnitudes.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/adapters/merge.h"

namespace skein {
namespace {

constexpr double kColumnEpsilon = 1e-6;  // the trainer's; for rows it has none

// Squares of X, added up over outputs for each input, or over inputs for each output.
absl::StatusOr<std::vector<double>> SquaredNorms(const Adapter& adapter,
                                                 const AdaptedLinear& linear, bool by_input,
                                                 const BaseTensors& base, ParallelFor& threads) {
  const AdapterModule& module = linear.hooks;
  const std::string name = linear.module + ".weight";
  const int64_t chunk = MergeChunkRows(module);
  std::vector<double> squares(by_input ? module.inputs : module.outputs);
  std::vector<float> rows(chunk * module.inputs);
  for (int64_t begin = 0; begin < module.outputs; begin += chunk) {
    const int64_t n = std::min(chunk, module.outputs - begin);
    RETURN_IF_ERROR(ReadUnderAdapter(adapter, name, base, begin, n, rows.data()));
    AddLowRankRows(module, begin, {rows.data(), {n, module.inputs}}, threads);
    for (int64_t m = 0; m < n; ++m) {
      const float* x = rows.data() + m * module.inputs;
      double sum = 0;
      for (int64_t k = 0; k < module.inputs; ++k) {
        const double square = static_cast<double>(x[k]) * x[k];
        if (by_input) squares[k] += square;
        sum += square;
      }
      if (!by_input) squares[begin + m] = sum;
    }
  }
  return squares;
}

}  // namespace

absl::Status ScaleByNorms(const Adapter& adapter, const AdaptedLinear& linear,
                          std::span<const float> magnitude, const BaseTensors& base,
                          ParallelFor& threads) {
  const bool by_input = linear.hooks.form == AdapterForm::kInputScaled;
  const TensorView<const float>& space =
      by_input ? linear.hooks.input_scale : linear.hooks.output_scale;
  // The memory is the adapter's, which is being made; nobody else has it yet.
  float* scale = const_cast<float*>(space.data());  // NOLINT
  for (size_t i = 0; i < magnitude.size(); ++i) {
    if (std::isfinite(magnitude[i])) continue;
    return absl::DataLossError(absl::StrCat(linear.module, ": magnitude ", i, " is not finite"));
  }
  ASSIGN_OR_RETURN(const std::vector<double> squares,
                   SquaredNorms(adapter, linear, by_input, base, threads));
  for (size_t i = 0; i < squares.size(); ++i) {
    const double norm = std::sqrt(squares[i]) + (by_input ? kColumnEpsilon : 0.0);
    scale[i] = static_cast<float>(magnitude[i] / norm);
    if (std::isfinite(scale[i])) continue;
    return absl::DataLossError(absl::StrCat(linear.module, ": magnitude ", magnitude[i], " of ",
                                            by_input ? "input " : "output ", i, " with norm ", norm,
                                            " gives no finite factor"));
  }
  return absl::OkStatus();
}

}  // namespace skein
