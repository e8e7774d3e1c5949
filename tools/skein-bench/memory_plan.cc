#include "tools/skein-bench/memory_plan.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "kernels/device/arena.h"

namespace skein::bench {
namespace {

using random_model::ModelShape;
using random_model::PlannedTensor;

constexpr double kGiB = 1 << 30;
constexpr double kMiB = 1 << 20;

int64_t Rounded(int64_t bytes) {
  return static_cast<int64_t>(Arena::Rounded(static_cast<size_t>(bytes)));
}

int64_t WeightBytes(const EngineOptions& options) {
  int64_t bytes = 0;
  for (const PlannedTensor& tensor : random_model::PlanTensors(options.shape)) {
    const bool matrix = tensor.shape.size() == 2 && !absl::EndsWith(tensor.name, "r_k");
    const DType dtype = matrix ? options.format : DType::kF32;
    bytes += Rounded(NumElements(tensor.shape) * DTypeBytes(dtype));
  }
  return bytes;
}

// Shift states are fp32, and so are all states of hybrids.
int64_t StateBytes(const EngineOptions& options) {
  const ModelShape& shape = options.shape;
  const int64_t values = shape.heads * shape.head_dim * shape.head_dim;
  const DType dtype = shape.hybrid ? DType::kF32 : options.state;
  int64_t bytes = 0;
  for (int64_t layer = 0; layer < shape.layers; ++layer) {
    if (shape.IsAttention(layer)) continue;
    bytes += Rounded(values * DTypeBytes(dtype));
    if (!shape.hybrid) bytes += 2 * Rounded(shape.width * DTypeBytes(DType::kF32));
  }
  return bytes;
}

int64_t KvBytes(const EngineOptions& options, int64_t tokens) {
  const ModelShape& shape = options.shape;
  int64_t layers = 0;
  for (int64_t layer = 0; layer < shape.layers; ++layer) layers += shape.IsAttention(layer) ? 1 : 0;
  const int64_t pages = (tokens + Engine::kPageTokens - 1) / Engine::kPageTokens;
  return 2 * layers * pages * Engine::kPageTokens * shape.kv_heads * shape.head_dim *
         DTypeBytes(options.format);
}

// Rows of the residual stream, norms and products in fp32, of operands and results in 16 bits; two
// rows of the inner width of the MLP.
int64_t ActivationBytes(const EngineOptions& options, int64_t rows) {
  const ModelShape& shape = options.shape;
  const int64_t inner = std::max(shape.width, shape.heads * shape.head_dim);
  const int64_t rank = std::max({shape.rank_w, shape.rank_a, shape.rank_v, shape.rank_g});
  constexpr int64_t kFloatRows = 5, kHalfRows = 18, kRankRows = 5, kUnitRows = 2;
  const int64_t row = (4 * kFloatRows + 2 * kHalfRows) * inner + 2 * kRankRows * rank +
                      2 * kUnitRows * shape.ffn_width;
  return rows * row;
}

}  // namespace

int64_t MemoryPlan::SequencesIn(int64_t limit) const {
  const int64_t left = limit - weights - activations - workspace;
  return left < 0 ? -1 : left / per_sequence;
}

MemoryPlan PlanMemory(const EngineOptions& options, const EngineSize& size) {
  MemoryPlan plan;
  plan.weights = WeightBytes(options);
  plan.activations = ActivationBytes(options, size.max_rows);
  plan.workspace = static_cast<int64_t>(CudaOptions().workspace_bytes);
  plan.per_sequence = StateBytes(options) + KvBytes(options, size.tokens_per_sequence) +
                      options.shape.vocab * DTypeBytes(DType::kF32);
  return plan;
}

std::string Describe(const MemoryPlan& plan) {
  return absl::StrFormat(
      "weights %.2f GiB, activations %.2f GiB, workspace %.2f GiB, %.1f MiB a sequence",
      static_cast<double>(plan.weights) / kGiB, static_cast<double>(plan.activations) / kGiB,
      static_cast<double>(plan.workspace) / kGiB, static_cast<double>(plan.per_sequence) / kMiB);
}

absl::StatusOr<int64_t> ParseMemory(const std::string& text) {
  absl::string_view digits = text;
  const double unit = absl::EndsWith(digits, "GiB") ? kGiB : kMiB;
  double number = 0;
  if (digits.size() < 4 || !(absl::EndsWith(digits, "GiB") || absl::EndsWith(digits, "MiB")) ||
      !absl::SimpleAtod(digits.substr(0, digits.size() - 3), &number) ||
      !(number > 0 && number < 1e6)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device-memory \"", text, "\", expected an amount such as 24GiB"));
  }
  return static_cast<int64_t>(number * unit);
}

}  // namespace skein::bench
