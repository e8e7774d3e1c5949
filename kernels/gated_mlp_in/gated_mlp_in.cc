#include "kernels/gated_mlp_in/gated_mlp_in.h"

#include "kernels/cpu/isa.h"
#include "kernels/cpu/reference.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/check_args.h"
#include "kernels/linear/linear.h"
#include "kernels/rms_project/rms_project.h"

namespace skein {
namespace {

RmsProjectArgs Products(const GatedMlpInArgs& args) {
  return {args.x,
          args.norm_weight,
          args.eps,
          args.normed,
          {{args.gate, {}, Activation::kNone, args.gated, args.gate_adapters},
           {args.up, {}, Activation::kNone, args.h, args.up_adapters}}};
}

}  // namespace

absl::Status GatedMlpInArgs::Validate() const {
  return ArgsCheck("gated_mlp_in")
      .Also("products", Products(*this).Validate())
      .Shape("gated", gated, h.shape())
      .status();
}

void GatedMlpInRef(const GatedMlpInArgs& args) {
  RmsProjectRef(Products(args));
  for (int64_t i = 0; i < args.h.size(); ++i) {
    const double gate = args.gated[i];
    args.h[i] = static_cast<float>(gate * SigmoidRef(gate) * args.h[i]);
  }
}

void GatedMlpInCpu(const GatedMlpInArgs& args, ParallelFor& threads) {
  RmsProjectCpu(Products(args), threads);
  threads.Run(args.h.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      SKEIN_ISA(SiluMulRow)(args.gated.row(m), args.h.row(m), args.h.dim(1), args.h.row(m));
    }
  });
}

}  // namespace skein
