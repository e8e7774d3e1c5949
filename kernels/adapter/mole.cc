#include "kernels/adapter/mole.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/adapter/adapter_lanes.h"
#include "kernels/adapter/adapter_products.h"
#include "kernels/adapter/mole_routing.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

float ScaleOf(const MoleSegment& segment, const AdapterModule& module) {
  return segment.scale.value_or(module.scale);
}

// What one row needs: scores, then a vector as long as the longest rank, then k_e and, when that
// has been used, what an expert adds to the output.
int64_t RowWorkspace(const MoleExperts& experts) {
  int64_t rank = 0;
  for (const MoleExperts::Expert& expert : experts.experts) {
    rank = std::max({rank, expert.key.rank, expert.value.rank});
  }
  return experts.router.rows + rank + 2 * std::max(experts.width(), experts.ffn_width());
}

absl::Status CheckMole(std::span<const MoleSegment> segments, int64_t rows, int64_t width,
                       int64_t ffn_width) {
  int64_t free = 0;
  for (const MoleSegment& segment : segments) {
    if (segment.experts == nullptr || segment.begin < free || segment.count < 1 ||
        segment.end() > rows) {
      return absl::InvalidArgumentError(absl::StrCat("segment of rows ", segment.begin, " to ",
                                                     segment.end(), ", expected a range from ",
                                                     free, " to ", rows));
    }
    free = segment.end();
    RETURN_IF_ERROR(segment.experts->Validate());
    if (segment.experts->active > kMaxActiveExperts) {
      return absl::InvalidArgumentError(absl::StrCat(
          segment.experts->active, " active experts, expected at most ", kMaxActiveExperts));
    }
    if (segment.experts->width() != width || segment.experts->ffn_width() != ffn_width) {
      return absl::InvalidArgumentError("experts for another width");
    }
  }
  return absl::OkStatus();
}

class MoleRow {
 public:
  MoleRow(const MoleArgs& args, const MoleSegment& segment, int64_t row)
      : args_(args), segment_(segment), experts_(*segment.experts), row_(row) {
    scores_ = args.workspace.row(row);
    const int64_t longest = std::max(experts_.width(), experts_.ffn_width());
    product_ = scores_ + experts_.router.rows;
    key_ = product_ + longest;
    inner_ = key_ + longest;
  }

  void Run() {
    Multiply(experts_.router, args_.x.row(row_), scores_);
    ExpertChoice choices[kMaxActiveExperts];
    const int64_t count =
        ChooseExperts(experts_, {scores_, static_cast<size_t>(experts_.router.rows)}, choices);
    std::fill_n(args_.mixed.row(row_), experts_.ffn_width(), 0.0f);
    std::fill_n(args_.side.row(row_), experts_.width(), 0.0f);
    for (int64_t i = 0; i < count; ++i) Add(choices[i]);
  }

 private:
  static void Multiply(const WeightMatrix& weight, const float* x, float* y) {
    MultiplyRows(weight, 0, weight.rows, {x, weight.cols, 1}, {y, weight.rows});
  }

  void Add(const ExpertChoice& choice) {
    const MoleExperts::Expert& expert = experts_.experts[choice.expert];
    Multiply(expert.key.down, args_.x.row(row_), inner_);
    Multiply(expert.key.up, inner_, product_);
    std::copy_n(args_.base.row(row_), experts_.ffn_width(), key_);
    SKEIN_ISA(AddScaledRow)(product_, ScaleOf(segment_, expert.key), experts_.ffn_width(), key_);
    SKEIN_ISA(FinishRow)(key_, nullptr, Activation::kReluSquared, experts_.ffn_width());
    SKEIN_ISA(AddScaledRow)(key_, choice.weight, experts_.ffn_width(), args_.mixed.row(row_));
    Multiply(expert.value.down, key_, inner_);
    Multiply(expert.value.up, inner_, product_);
    SKEIN_ISA(AddScaledRow)
    (product_, choice.weight * ScaleOf(segment_, expert.value), experts_.width(),
     args_.side.row(row_));
  }

  const MoleArgs& args_;
  const MoleSegment& segment_;
  const MoleExperts& experts_;
  const int64_t row_;
  float *scores_, *product_, *key_, *inner_;
};

void PlainRow(const MoleArgs& args, int64_t row) {
  float* mixed = args.mixed.row(row);
  std::copy_n(args.base.row(row), args.base.dim(1), mixed);
  SKEIN_ISA(FinishRow)(mixed, nullptr, Activation::kReluSquared, args.base.dim(1));
  std::fill_n(args.side.row(row), args.side.dim(1), 0.0f);
}

const MoleSegment* SegmentOf(const MoleArgs& args, int64_t row) {
  for (const MoleSegment& segment : args.segments) {
    if (row >= segment.begin && row < segment.end()) return &segment;
  }
  return nullptr;
}

std::vector<double> ProductRef(const WeightMatrix& weight, const std::vector<double>& x) {
  std::vector<double> y(weight.rows);
  for (int64_t o = 0; o < weight.rows; ++o) {
    for (int64_t k = 0; k < weight.cols; ++k) {
      y[o] += static_cast<double>(WeightAt(weight, o, k)) * x[k];
    }
  }
  return y;
}

std::vector<double> LowRankRef(const AdapterModule& module, const std::vector<double>& x) {
  return ProductRef(module.up, ProductRef(module.down, x));
}

void RefRow(const MoleArgs& args, const MoleSegment& segment, int64_t row) {
  const MoleExperts& experts = *segment.experts;
  const int64_t width = experts.width(), ffn_width = experts.ffn_width();
  const std::vector<double> x(args.x.row(row), args.x.row(row) + width);
  const std::vector<double> exact = ProductRef(experts.router, x);
  const std::vector<float> scores(exact.begin(), exact.end());
  std::vector<ExpertChoice> choices(experts.active);
  const int64_t count = ChooseExperts(experts, scores, choices);
  std::vector<double> mixed(ffn_width), side(width);
  for (int64_t i = 0; i < count; ++i) {
    const MoleExperts::Expert& expert = experts.experts[choices[i].expert];
    std::vector<double> key = LowRankRef(expert.key, x);
    for (int64_t f = 0; f < ffn_width; ++f) {
      const double sum = args.base.row(row)[f] + ScaleOf(segment, expert.key) * key[f];
      key[f] = sum > 0 ? sum * sum : 0.0;
      mixed[f] += choices[i].weight * key[f];
    }
    const std::vector<double> value = LowRankRef(expert.value, key);
    for (int64_t d = 0; d < width; ++d) {
      side[d] += choices[i].weight * ScaleOf(segment, expert.value) * value[d];
    }
  }
  std::copy(mixed.begin(), mixed.end(), args.mixed.row(row));
  std::copy(side.begin(), side.end(), args.side.row(row));
}

}  // namespace

int64_t MoleWorkspace(std::span<const MoleSegment> segments) {
  int64_t columns = 0;
  for (const MoleSegment& segment : segments) {
    columns = std::max(columns, RowWorkspace(*segment.experts));
  }
  return columns;
}

absl::Status MoleArgs::Validate() const {
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 0;
  const int64_t width = x.rank() == 2 ? x.dim(1) : 0;
  const int64_t ffn_width = base.rank() == 2 ? base.dim(1) : 0;
  ArgsCheck check("mole");
  check.Shape("x", x, {rows, width})
      .Shape("base", base, {rows, ffn_width})
      .Shape("mixed", mixed, {rows, ffn_width})
      .Shape("side", side, {rows, width})
      .That(mixed.data() != base.data(), "mixed: must not be base")
      .Also("segments", CheckMole(segments, rows, width, ffn_width));
  RETURN_IF_ERROR(check.status());
  const int64_t columns = MoleWorkspace(segments);
  return check
      .That(columns == 0 ||
                (workspace.rank() == 2 && workspace.dim(0) == rows && workspace.dim(1) >= columns),
            absl::StrCat("workspace: expected ", columns, " columns"))
      .status();
}

void MoleRef(const MoleArgs& args) {
  for (int64_t row = 0; row < args.x.dim(0); ++row) {
    const MoleSegment* segment = SegmentOf(args, row);
    if (segment != nullptr) {
      RefRow(args, *segment, row);
      continue;
    }
    for (int64_t f = 0; f < args.base.dim(1); ++f) {
      const float b = std::max(args.base.row(row)[f], 0.0f);
      args.mixed.row(row)[f] = b * b;
    }
    std::fill_n(args.side.row(row), args.side.dim(1), 0.0f);
  }
}

void MoleCpu(const MoleArgs& args, ParallelFor& threads) {
  threads.Run(args.x.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const MoleSegment* segment = SegmentOf(args, row);
      segment != nullptr ? MoleRow(args, *segment, row).Run() : PlainRow(args, row);
    }
  });
}

absl::Status Mole(const MoleArgs& args, const Stream& stream) {
  RETURN_IF_ERROR(args.Validate());
  if (!stream.on_cpu()) return absl::UnimplementedError("mole: runs on the CPU alone");
  MoleCpu(args, stream.threads());
  return absl::OkStatus();
}

}  // namespace skein
