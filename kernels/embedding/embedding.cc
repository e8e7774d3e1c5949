#include "kernels/embedding/embedding.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"

namespace skein {

absl::Status EmbeddingArgs::Validate() const {
  const int64_t rows = tokens.empty() ? 0 : tokens.dim(0);
  return ArgsCheck("embedding")
      .That(!table.empty(), "no table")
      .That(norm_weight.empty() == norm_bias.empty(), "norm needs weight and bias")
      .OptionalShape("norm_weight", norm_weight, {table.cols})
      .OptionalShape("norm_bias", norm_bias, {table.cols})
      .Shape("x", x, {rows, table.cols})
      .status();
}

void EmbeddingCpu(const EmbeddingArgs& args, ParallelFor& threads) {
  threads.Run(args.tokens.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      float* x = args.x.row(m);
      WeightRow(args.table, args.tokens[m], x);
      if (args.norm_weight.empty()) continue;
      SKEIN_ISA(LayerNormRow)
      (x, args.norm_weight.data(), args.norm_bias.data(), args.eps, args.table.cols, x);
    }
  });
}

}  // namespace skein
