#include "kernels/adapter/adapter_out.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "kernels/adapter/adapter_lanes.h"
#include "kernels/adapter/adapter_products.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

constexpr int64_t kRowsAtATime = 16;
constexpr int64_t kExpandUnit = 96;  // outputs that a thread takes at a time

// Adds values of length `period`, again and again, to outputs [first, last) of y.
void AddTiled(const float* values, int64_t period, int64_t first, int64_t last, float* y) {
  while (first < last) {
    const int64_t at = first % period;
    const int64_t n = std::min(period - at, last - first);
    SKEIN_ISA(AddRow)(values + at, nullptr, n, y + first);
    first += n;
  }
}

// Outputs [first, last) of one segment, at most kExpandUnit. Where the columns of D repeat within
// them, the products of one tile serve all.
class OutputRange {
 public:
  OutputRange(const AdapterOutArgs& args, const AdapterSegment& segment, int64_t first,
              int64_t last)
      : args_(args), segment_(segment), m_(*segment.module), first_(first), last_(last) {}

  void Run() {
    if (m_.form == AdapterForm::kInputBlocks) return Tile();
    const int64_t period = m_.up.rows;
    const bool tiled = first_ % period + (last_ - first_) > period;
    const int64_t begin = tiled ? 0 : first_ % period;
    const int64_t n = tiled ? period : last_ - first_;
    for (int64_t row = segment_.begin; row < segment_.end(); row += kRowsAtATime) {
      const int64_t rows = std::min(kRowsAtATime, segment_.end() - row);
      Products(row, rows, begin, n);
      for (int64_t i = 0; i < rows; ++i) {
        const float* product = products_ + i * kExpandUnit;
        float* y = args_.y.row(row + i);
        tiled ? AddTiled(product, period, first_, last_, y) : Add(product, y + first_);
      }
    }
  }

 private:
  const float* Inner(int64_t row) const { return args_.inner.row(row) + segment_.column; }

  void Tile() const {
    for (int64_t row = segment_.begin; row < segment_.end(); ++row) {
      AddTiled(Inner(row), m_.rank, first_, last_, args_.y.row(row));
    }
  }

  void Products(int64_t row, int64_t rows, int64_t begin, int64_t n) {
    MultiplyRows(RowsOf(m_.up, begin, n), 0, n, {Inner(row), args_.inner.dim(1), rows},
                 {products_, kExpandUnit});
  }

  void Add(const float* product, float* y) const {
    const int64_t n = last_ - first_;
    switch (m_.form) {
      case AdapterForm::kOutputScaled:
        return SKEIN_ISA(AddScaledThenScaleRow)(product, segment_.s(),
                                                m_.output_scale.data() + first_, n, y);
      case AdapterForm::kInputSums:
        return SKEIN_ISA(AddRow)(product, nullptr, n, y);
      default:
        return SKEIN_ISA(AddScaledRow)(product, segment_.s(), n, y);
    }
  }

  const AdapterOutArgs& args_;
  const AdapterSegment& segment_;
  const AdapterModule& m_;
  const int64_t first_, last_;
  alignas(64) float products_[kRowsAtATime * kExpandUnit];
};

// Where a range from `first` ends whose products fit: long tiles are not crossed.
int64_t PieceEnd(const AdapterModule& module, int64_t first, int64_t last) {
  const int64_t period = module.up.rows;
  last = std::min(last, first + kExpandUnit);
  if (module.form != AdapterForm::kInputSums || period <= kExpandUnit) return last;
  return std::min(last, first - first % period + period);
}

void Expand(const AdapterOutArgs& args, const AdapterSegment& segment, int64_t first,
            int64_t last) {
  while (segment.module->form != AdapterForm::kNone && first < last) {
    const int64_t end = PieceEnd(*segment.module, first, last);
    OutputRange(args, segment, first, end).Run();
    first = end;
  }
}

void RefRow(const AdapterOutArgs& args, const AdapterSegment& segment, int64_t row) {
  const AdapterModule& m = *segment.module;
  const float* t = args.inner.row(row) + segment.column;
  float* y = args.y.row(row);
  for (int64_t o = 0; o < m.outputs; ++o) {
    double sum = 0;
    if (m.form == AdapterForm::kInputBlocks) sum = t[o % m.rank];
    for (int64_t j = 0; !m.up.empty() && j < m.rank; ++j) {
      sum += static_cast<double>(WeightAt(m.up, o % m.up.rows, j)) * t[j];
    }
    double result = y[o] + (m.low_rank() ? segment.s() * sum : sum);
    if (m.form == AdapterForm::kOutputScaled) result *= m.output_scale[o];
    y[o] = static_cast<float>(result);
  }
}

}  // namespace

absl::Status AdapterOutArgs::Validate() const {
  const int64_t rows = y.rank() == 2 ? y.dim(0) : 0;
  const int64_t outputs = y.rank() == 2 ? y.dim(1) : 0;
  ArgsCheck check("adapter_out");
  check.Shape("y", y, {rows, outputs})
      .Also("segments", CheckSegments(segments, rows, inputs, outputs));
  RETURN_IF_ERROR(check.status());
  return check
      .That(inner.rank() == 2 && inner.dim(0) == rows && inner.dim(1) >= InnerColumns(segments),
            "inner: expected a column for each rank")
      .status();
}

void AdapterOutRef(const AdapterOutArgs& args) {
  for (const AdapterSegment& segment : args.segments) {
    for (int64_t row = segment.begin; row < segment.end(); ++row) RefRow(args, segment, row);
  }
}

void AdapterOutCpu(const AdapterOutArgs& args, ParallelFor& threads) {
  // A thread does its outputs of a whole stack, so that their sums have one order.
  ForSegmentUnits(
      args.segments, kExpandUnit, threads,
      [&](size_t i) { return StartsStack(args.segments, i) ? args.y.dim(1) : 0; },
      [&](size_t i, int64_t first, int64_t last) {
        for (const AdapterSegment& segment : StackAt(args.segments, i)) {
          Expand(args, segment, first, last);
        }
      });
}

absl::Status AdapterOut(const AdapterOutArgs& args, const Stream& stream) {
  RETURN_IF_ERROR(args.Validate());
  if (!stream.on_cpu()) return absl::UnimplementedError("adapter_out: runs on the CPU alone");
  AdapterOutCpu(args, stream.threads());
  return absl::OkStatus();
}

}  // namespace skein
