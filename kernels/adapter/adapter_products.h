// Small products of the adapters' CPU bodies, and how work over segments is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "kernels/adapter/adapter_rows.h"
#include "kernels/device/parallel_for.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

struct InputRows {
  const float* data = nullptr;
  int64_t stride = 0;
  int64_t count = 0;
};
struct OutputRows {
  float* data = nullptr;
  int64_t stride = 0;
};

// Rows [begin, begin + count) of a matrix, as one of its own.
WeightMatrix RowsOf(const WeightMatrix& matrix, int64_t begin, int64_t count);

// y[i, o] = sum_k w[o, k] x[i, k] for outputs [first, last), on the calling thread; summed as
// products_lanes.h says.
void MultiplyRows(const WeightMatrix& weight, int64_t first, int64_t last, const InputRows& x,
                  const OutputRows& y);

// Calls work(segment, first output, last output) on the threads until all outputs of all segments
// are done, some multiple of `unit` at a time; `outputs` says how many a module has.
template <typename Outputs, typename Work>
void ForSegmentUnits(std::span<const AdapterSegment> segments, int64_t unit, ParallelFor& threads,
                     Outputs outputs, Work work) {
  const auto units = [&](const AdapterSegment& segment) {
    return (outputs(*segment.module) + unit - 1) / unit;
  };
  int64_t total = 0;
  for (const AdapterSegment& segment : segments) total += units(segment);
  if (total == 0) return;
  threads.Run(total, 1, [&](int64_t begin, int64_t end) {
    for (const AdapterSegment& segment : segments) {
      const int64_t count = units(segment);
      const int64_t first = std::max<int64_t>(begin, 0) * unit;
      const int64_t last = std::min(std::min(end, count) * unit, outputs(*segment.module));
      if (first < last) work(segment, first, last);
      begin -= count;
      end -= count;
    }
  });
}

// Cuts rows [begin, end) at the borders of segments: work(segment or nullptr, first, last).
template <typename Work>
void ForSegmentRanges(std::span<const AdapterSegment> segments, int64_t begin, int64_t end,
                      Work work) {
  for (const AdapterSegment& segment : segments) {
    if (segment.end() <= begin) continue;
    if (begin >= end) return;
    if (begin < segment.begin) {
      const int64_t last = std::min(end, segment.begin);
      work(static_cast<const AdapterSegment*>(nullptr), begin, last);
      begin = last;
    }
    const int64_t last = std::min(end, segment.end());
    if (begin < last) work(&segment, begin, last);
    begin = std::max(begin, last);
  }
  if (begin < end) work(static_cast<const AdapterSegment*>(nullptr), begin, end);
}

// work(module or nullptr, row) for each row.
template <typename Work>
void ForEachModuleRow(std::span<const AdapterSegment> segments, int64_t rows, Work work) {
  ForSegmentRanges(segments, 0, rows,
                   [&](const AdapterSegment* segment, int64_t first, int64_t last) {
                     for (int64_t row = first; row < last; ++row) {
                       work(segment == nullptr ? nullptr : segment->module, row);
                     }
                   });
}

}  // namespace skein
