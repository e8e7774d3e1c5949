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

// Calls work(i, first output, last output) on the threads until all outputs(i) outputs of all
// segments i are done, some multiple of `unit` at a time.
template <typename Outputs, typename Work>
void ForSegmentUnits(std::span<const AdapterSegment> segments, int64_t unit, ParallelFor& threads,
                     Outputs outputs, Work work) {
  const auto units = [&](size_t i) { return (outputs(i) + unit - 1) / unit; };
  int64_t total = 0;
  for (size_t i = 0; i < segments.size(); ++i) total += units(i);
  if (total == 0) return;
  threads.Run(total, 1, [&](int64_t begin, int64_t end) {
    for (size_t i = 0; i < segments.size() && end > 0; ++i) {
      const int64_t count = units(i);
      const int64_t first = std::max<int64_t>(begin, 0) * unit;
      const int64_t last = std::min(std::min(end, count) * unit, outputs(i));
      if (first < last) work(i, first, last);
      begin -= count;
      end -= count;
    }
  });
}

// Cuts rows [begin, end) at the borders of stacks: work(stack, first, last), where rows without a
// segment have an empty stack.
template <typename Work>
void ForStackRanges(std::span<const AdapterSegment> segments, int64_t begin, int64_t end,
                    Work work) {
  for (size_t i = 0; i < segments.size() && begin < end;) {
    const std::span<const AdapterSegment> stack = StackAt(segments, i);
    i += stack.size();
    if (stack[0].end() <= begin) continue;
    if (begin < stack[0].begin) {
      const int64_t last = std::min(end, stack[0].begin);
      work(std::span<const AdapterSegment>(), begin, last);
      begin = last;
    }
    const int64_t last = std::min(end, stack[0].end());
    if (begin < last) work(stack, begin, last);
    begin = std::max(begin, last);
  }
  if (begin < end) work(std::span<const AdapterSegment>(), begin, end);
}

}  // namespace skein
