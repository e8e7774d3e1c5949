#include "tools/skein-bench/hidden_zeros.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/linear/linear.h"
#include "tools/random_model/weights.h"
#include "tools/skein-bench/batch.h"

namespace skein::bench {
namespace {

using random_model::PlannedTensor;
using random_model::RandomWeights;

constexpr int64_t kRows = 8;
constexpr int64_t kMaxLayers = 4;
constexpr int64_t kSteps = 4;

// One tensor of the model, made again.
std::vector<std::byte> Made(Engine& engine, const PlannedTensor& tensor, DType dtype) {
  const RandomWeights weights(tensor, dtype, engine.options().seed);
  const int64_t count = NumElements(tensor.shape), item = DTypeBytes(dtype);
  std::vector<std::byte> bytes(static_cast<size_t>(count * item));
  engine.threads().Run(count, int64_t{1} << 18, [&](int64_t begin, int64_t end) {
    weights.Write(begin, end - begin, bytes.data() + begin * item);
  });
  return bytes;
}

// The normalised inputs of a layer's channel mix at the last token: [kRows, width].
absl::StatusOr<std::vector<float>> NormedInputs(Engine& engine, const Batch& batch,
                                                const StateField& field) {
  std::vector<float> rows;
  for (int64_t row = 0; row < kRows; ++row) {
    ASSIGN_OR_RETURN(const std::vector<float> normed, engine.ReadState(batch.slot(row), field));
    rows.insert(rows.end(), normed.begin(), normed.end());
  }
  return rows;
}

class Counter {
 public:
  explicit Counter(Engine& engine) : engine_(engine), zeros_(kRows), live_(kRows) {}

  // `before` and `now` are the normalised inputs of two tokens that follow each other.
  absl::Status AddLayer(int layer, const std::vector<float>& before,
                        const std::vector<float>& now) {
    const auto plan = random_model::PlanTensors(engine_.options().shape);
    const PlannedTensor& mix = Tensor(plan, absl::StrCat("blocks.", layer, ".ffn.x_k"));
    const PlannedTensor& key = Tensor(plan, absl::StrCat("blocks.", layer, ".ffn.key.weight"));
    const int64_t units = key.shape[0], width = key.shape[1];
    const std::vector<std::byte> mix_bytes = Made(engine_, mix, DType::kF32);
    const float* const share = reinterpret_cast<const float*>(mix_bytes.data());
    std::vector<float> mixed(now);
    for (size_t i = 0; i < mixed.size(); ++i) {
      mixed[i] += (before[i] - now[i]) * share[i % static_cast<size_t>(width)];
    }
    const DType format = engine_.options().format;
    const std::vector<std::byte> key_bytes = Made(engine_, key, format);
    std::vector<float> sums(static_cast<size_t>(kRows * units));
    Projection projection;
    projection.weight = {key_bytes.data(), format, units, width};
    projection.x = TensorView<const float>(mixed.data(), {kRows, width});
    projection.y = TensorView<float>(sums.data(), {kRows, units});
    RETURN_IF_ERROR(projection.Validate());
    ProjectCpu({&projection, 1}, engine_.threads());
    Count(sums, units);
    return absl::OkStatus();
  }

  HiddenZeros Shares() const {
    HiddenZeros result;
    result.units = units_;
    const auto units = static_cast<double>(units_);
    for (const int64_t zeros : zeros_) {
      result.by_row.push_back(static_cast<double>(zeros) / units);
    }
    for (const int64_t live : live_) result.live.push_back(static_cast<double>(live) / units);
    return result;
  }

 private:
  static const PlannedTensor& Tensor(const std::vector<PlannedTensor>& plan,
                                     const std::string& name) {
    const auto found = std::find_if(
        plan.begin(), plan.end(), [&](const PlannedTensor& tensor) { return tensor.name == name; });
    SKEIN_CHECK(found != plan.end());
    return *found;
  }

  void Count(const std::vector<float>& sums, int64_t units) {
    units_ += units;
    for (int64_t unit = 0; unit < units; ++unit) {
      bool live = false;
      for (int64_t row = 0; row < kRows; ++row) {
        const bool positive = sums[static_cast<size_t>(row * units + unit)] > 0;
        zeros_[row] += positive ? 0 : 1;
        live = live || positive;
        live_[row] += live ? 1 : 0;
      }
    }
  }

  Engine& engine_;
  int64_t units_ = 0;
  std::vector<int64_t> zeros_;  // by row
  std::vector<int64_t> live_;   // by number of rows
};

std::vector<const StateField*> SomeLayers(const StateLayout& layout) {
  std::vector<const StateField*> all, some;
  for (const StateField& field : layout.fields) {
    if (field.name == "shift_ffn") all.push_back(&field);
  }
  const auto count = static_cast<int64_t>(all.size());
  const int64_t wanted = std::min(count, kMaxLayers);
  for (int64_t i = 0; i < wanted; ++i) {
    some.push_back(all[wanted == 1 ? 0 : i * (count - 1) / (wanted - 1)]);
  }
  return some;
}

}  // namespace

double HiddenZeros::mean() const {
  if (by_row.empty()) return 0;
  return std::accumulate(by_row.begin(), by_row.end(), 0.0) / static_cast<double>(by_row.size());
}

absl::StatusOr<HiddenZeros> MeasureHiddenZeros(Engine& engine) {
  const std::vector<const StateField*> fields = SomeLayers(engine.model().state_layout());
  if (fields.empty()) return HiddenZeros();
  ASSIGN_OR_RETURN(Batch batch,
                   Batch::Create(engine, {.sequences = kRows, .max_new_tokens = kSteps + 1}));
  RETURN_IF_ERROR(batch.Prefill());
  for (int64_t i = 0; i + 1 < kSteps; ++i) RETURN_IF_ERROR(batch.Step());
  std::vector<std::vector<float>> before;
  for (const StateField* field : fields) {
    ASSIGN_OR_RETURN(std::vector<float> normed, NormedInputs(engine, batch, *field));
    before.push_back(std::move(normed));
  }
  RETURN_IF_ERROR(batch.Step());
  Counter counter(engine);
  for (size_t i = 0; i < fields.size(); ++i) {
    ASSIGN_OR_RETURN(const std::vector<float> now, NormedInputs(engine, batch, *fields[i]));
    RETURN_IF_ERROR(counter.AddLayer(fields[i]->layer, before[i], now));
  }
  return counter.Shares();
}

absl::Status CheckHiddenZeros(const HiddenZeros& zeros, double wanted, int64_t width) {
  if (zeros.by_row.empty()) return absl::OkStatus();
  // Drawing the units, and the length of the inputs, which the threshold takes for granted.
  const double units = static_cast<double>(zeros.units);
  const double error =
      std::sqrt(wanted * (1 - wanted) / units +
                0.1 / (static_cast<double>(width) * static_cast<double>(kMaxLayers)));
  const double tolerance = std::max(0.01, 4 * error);
  for (size_t row = 0; row < zeros.by_row.size(); ++row) {
    if (std::abs(zeros.by_row[row] - wanted) <= tolerance) continue;
    return absl::DataLossError(
        absl::StrFormat("row %d has %.2f%% hidden zeros, expected %.2f%% within %.2f%%", row,
                        100 * zeros.by_row[row], 100 * wanted, 100 * tolerance));
  }
  constexpr double kTrained = 0.85, kLiveInTwo = 0.23, kLiveInEight = 0.5;
  if (wanted <= kTrained &&
      (zeros.LiveShare(2) < kLiveInTwo || zeros.LiveShare(8) < kLiveInEight)) {
    return absl::DataLossError(absl::StrFormat(
        "%.1f%% of the hidden units live in 2 rows and %.1f%% in 8, expected 23%% and 50%%: rows "
        "share their zeros",
        100 * zeros.LiveShare(2), 100 * zeros.LiveShare(8)));
  }
  return absl::OkStatus();
}

}  // namespace skein::bench
