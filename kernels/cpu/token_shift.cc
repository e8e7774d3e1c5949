#include "kernels/cpu/token_shift.h"

#include <algorithm>

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "kernels/cpu/rows.h"

namespace skein {
namespace {

const float* RowBefore(const TokenShift& args, int64_t sequence, int64_t row) {
  return row > args.sequences.begin(sequence) ? args.normed.row(row - 1)
                                              : args.shift.slot(args.sequences.slots[sequence]);
}

void SaveLastRows(const TokenShift& args) {
  const int64_t width = args.x.dim(1);
  for (int64_t s = 0; s < args.sequences.count(); ++s) {
    std::copy_n(args.normed.row(args.sequences.end(s) - 1), width,
                args.shift.slot(args.sequences.slots[s]));
  }
}

}  // namespace

void TokenShiftCpu(const TokenShift& args, std::span<const ShiftedInput> inputs,
                   ParallelFor& threads) {
  const int64_t rows = args.x.dim(0);
  const int64_t width = args.x.dim(1);
  threads.Run(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      SKEIN_ISA(LayerNormRow)
      (args.x.row(m), args.norm_weight.data(), args.norm_bias.data(), args.eps, width,
       args.normed.row(m));
    }
  });
  threads.Run(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const float* before = RowBefore(args, args.sequences.Find(m), m);
      for (const ShiftedInput& input : inputs) {
        SKEIN_ISA(LerpRow)(args.normed.row(m), before, input.mix.data(), width, input.out.row(m));
      }
    }
  });
  SaveLastRows(args);
}

void TokenShiftRef(const TokenShift& args, std::span<const ShiftedInput> inputs) {
  const int64_t width = args.x.dim(1);
  for (int64_t m = 0; m < args.x.dim(0); ++m) {
    LayerNormRef(args.x.row(m), args.norm_weight.data(), args.norm_bias.data(), args.eps, width,
                 args.normed.row(m));
  }
  for (int64_t m = 0; m < args.x.dim(0); ++m) {
    const float* before = RowBefore(args, args.sequences.Find(m), m);
    const float* now = args.normed.row(m);
    for (const ShiftedInput& input : inputs) {
      for (int64_t c = 0; c < width; ++c) {
        const double d = static_cast<double>(before[c]) - now[c];
        input.out.row(m)[c] = static_cast<float>(now[c] + d * input.mix[c]);
      }
    }
  }
  SaveLastRows(args);
}

}  // namespace skein
