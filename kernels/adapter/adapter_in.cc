#include "kernels/adapter/adapter_in.h"

#include <algorithm>
#include <vector>

#include "common/base/status_macros.h"
#include "kernels/adapter/adapter_lanes.h"
#include "kernels/adapter/adapter_products.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

constexpr int64_t kShrinkUnit = 12;  // a multiple of every tile width in products_lanes.cc

bool NeedsInput(std::span<const AdapterSegment> segments) {
  return std::any_of(segments.begin(), segments.end(),
                     [](const AdapterSegment& segment) { return segment.module->changes_input(); });
}

// Rows [begin, end) of z, and t of the forms that need no product with A. Blocks go through z,
// which holds u_b before x_b is added to it.
class RowInputs {
 public:
  RowInputs(const AdapterInArgs& args, const AdapterSegment& segment)
      : args_(args), m_(*segment.module), column_(segment.column) {}

  void Run(int64_t begin, int64_t end) const {
    switch (m_.form) {
      case AdapterForm::kInputScaled:
        for (int64_t i = begin; i < end; ++i) {
          SKEIN_ISA(ScaleRow)(args_.x.row(i), m_.input_scale.data(), m_.inputs, args_.z.row(i));
        }
        return;
      case AdapterForm::kInputBlocks:
        ClearInner(begin, end);
        return Blocks(begin, end);
      case AdapterForm::kInputSums:
        RunBehindOthers(begin, end);
        return CopyInput(begin, end);
      default:
        return CopyInput(begin, end);
    }
  }

  // z is another segment's.
  void RunBehindOthers(int64_t begin, int64_t end) const {
    if (m_.form != AdapterForm::kInputSums) return;
    ClearInner(begin, end);
    Sums(begin, end);
  }

 private:
  float* Inner(int64_t row) const { return args_.inner.row(row) + column_; }

  void ClearInner(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) std::fill_n(Inner(i), m_.rank, 0.0f);
  }

  void CopyInput(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end && !args_.z.empty(); ++i) {
      std::copy_n(args_.x.row(i), args_.x.dim(1), args_.z.row(i));
    }
  }

  void Blocks(int64_t begin, int64_t end) const {
    const int64_t r = m_.rank;
    for (int64_t b = 0; b < m_.inputs; b += r) {
      MultiplyRows(RowsOf(m_.blocks, b, r), 0, r, {args_.x.row(begin) + b, m_.inputs, end - begin},
                   {args_.z.row(begin) + b, m_.inputs});
      for (int64_t i = begin; i < end; ++i) {
        float* u = args_.z.row(i) + b;
        SKEIN_ISA(AddRow)(u, nullptr, r, Inner(i));
        SKEIN_ISA(AddRow)(args_.x.row(i) + b, nullptr, r, u);
      }
    }
  }

  void Sums(int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) {
      for (int64_t k = 0; k < m_.inputs; k += m_.rank) {
        const int64_t n = std::min(m_.rank, m_.inputs - k);
        SKEIN_ISA(AddRow)(args_.x.row(i) + k, nullptr, n, Inner(i));
      }
    }
  }

  const AdapterInArgs& args_;
  const AdapterModule& m_;
  const int64_t column_;
};

// t of all segments that have an A, in one piece of work.
void Shrink(const AdapterInArgs& args, ParallelFor& threads) {
  ForSegmentUnits(
      args.segments, kShrinkUnit, threads,
      [&](size_t i) {
        const AdapterModule& m = *args.segments[i].module;
        return m.low_rank() ? m.rank : 0;
      },
      [&](size_t i, int64_t first, int64_t last) {
        const AdapterSegment& segment = args.segments[i];
        const AdapterModule& m = *segment.module;
        const float* x = m.changes_input() ? args.z.row(segment.begin) : args.x.row(segment.begin);
        MultiplyRows(m.down, first, last, {x, m.inputs, segment.count},
                     {args.inner.row(segment.begin) + segment.column, args.inner.dim(1)});
      });
}

void RefRow(const AdapterInArgs& args, const AdapterSegment& segment, bool first, int64_t row) {
  const AdapterModule& m = *segment.module;
  const float* x = args.x.row(row);
  float* t = args.inner.row(row) + segment.column;
  std::vector<double> z(x, x + m.inputs), sums(m.rank, 0.0);
  for (int64_t k = 0; k < m.inputs; ++k) {
    if (m.form == AdapterForm::kInputScaled) z[k] *= m.input_scale[k];
    if (m.form == AdapterForm::kInputSums) sums[k % m.rank] += x[k];
    if (m.form == AdapterForm::kInputBlocks) {
      double u = 0;
      for (int64_t j = 0; j < m.rank; ++j) {
        u += static_cast<double>(WeightAt(m.blocks, k, j)) * x[k / m.rank * m.rank + j];
      }
      sums[k % m.rank] += u;
      z[k] += u;
    }
  }
  for (int64_t j = 0; m.low_rank() && j < m.rank; ++j) {
    for (int64_t k = 0; k < m.inputs; ++k) {
      // As the product reads it.
      sums[j] += static_cast<double>(WeightAt(m.down, j, k)) * static_cast<float>(z[k]);
    }
  }
  for (int64_t k = 0; first && !args.z.empty() && k < m.inputs; ++k) {
    args.z.row(row)[k] = static_cast<float>(z[k]);
  }
  for (int64_t j = 0; j < m.rank; ++j) t[j] = static_cast<float>(sums[j]);
}

}  // namespace

absl::Status AdapterInArgs::Validate() const {
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 0;
  const int64_t inputs = x.rank() == 2 ? x.dim(1) : 0;
  ArgsCheck check("adapter_in");
  check.Shape("x", x, {rows, inputs})
      .Also("segments", CheckSegments(segments, rows, inputs, outputs));
  RETURN_IF_ERROR(check.status());
  return check.OptionalShape("z", z, {rows, inputs})
      .That(!z.empty() || !NeedsInput(segments), "z: missing, though a module changes its input")
      .That(z.empty() || z.data() != x.data(), "z: must not be x")
      .That(inner.rank() == 2 && inner.dim(0) == rows && inner.dim(1) >= InnerColumns(segments),
            "inner: expected a column for each rank")
      .status();
}

void AdapterInRef(const AdapterInArgs& args) {
  if (!args.z.empty()) {
    for (int64_t row = 0; row < args.x.dim(0); ++row) {
      std::copy_n(args.x.row(row), args.x.dim(1), args.z.row(row));
    }
  }
  for (size_t i = 0; i < args.segments.size(); ++i) {
    const AdapterSegment& segment = args.segments[i];
    if (segment.module->form == AdapterForm::kNone) continue;
    const bool first = StartsStack(args.segments, i);
    for (int64_t row = segment.begin; row < segment.end(); ++row) {
      RefRow(args, segment, first, row);
    }
  }
}

void AdapterInCpu(const AdapterInArgs& args, ParallelFor& threads) {
  const AdapterModule none;
  const AdapterSegment plain = {.module = &none};
  threads.Run(args.x.dim(0), 1, [&](int64_t begin, int64_t end) {
    ForStackRanges(args.segments, begin, end,
                   [&](std::span<const AdapterSegment> stack, int64_t first, int64_t last) {
                     RowInputs(args, stack.empty() ? plain : stack[0]).Run(first, last);
                     for (size_t i = 1; i < stack.size(); ++i) {
                       RowInputs(args, stack[i]).RunBehindOthers(first, last);
                     }
                   });
  });
  Shrink(args, threads);
}

absl::Status AdapterIn(const AdapterInArgs& args, const Stream& stream) {
  RETURN_IF_ERROR(args.Validate());
  if (!stream.on_cpu()) return absl::UnimplementedError("adapter_in: runs on the CPU alone");
  AdapterInCpu(args, stream.threads());
  return absl::OkStatus();
}

}  // namespace skein
