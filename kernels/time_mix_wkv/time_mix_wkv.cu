#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/tensor/dtype.h"
#include "kernels/cuda/math.cuh"
#include "kernels/device/cuda_context.h"
#include "kernels/time_mix_wkv/heads.h"
#include "kernels/time_mix_wkv/products.h"
#include "kernels/time_mix_wkv/time_mix_wkv.h"

namespace skein {
namespace {

// The decay stays before its activation: near 1 it would lose what matters in 16 bits.
absl::Status RunProducts(const TimeMixWkvArgs& args, CudaContext& context) {
  auto products = TimeMixWkvProducts(args);
  products[0].activation = Activation::kNone;
  return ProjectCuda(products, context);
}

absl::Status CheckTypes(const TimeMixWkvArgs& args) {
  for (const ConstActivationView& x : {ConstActivationView(args.k), ConstActivationView(args.v),
                                       ConstActivationView(args.w), ConstActivationView(args.a),
                                       ConstActivationView(args.g), ConstActivationView(args.v_first)}) {
    if (x.dtype() != args.r.dtype()) {
      return absl::InvalidArgumentError(
          absl::StrCat("time_mix_wkv: k, v, w, a, g or v_first: ", DTypeName(x.dtype()),
                       ", expected what r has, ", DTypeName(args.r.dtype())));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TimeMixWkvCuda(const TimeMixWkvArgs& args, CudaContext& context) {
  RETURN_IF_ERROR(CheckTypes(args));
  RETURN_IF_ERROR(RunProducts(args, context));
  switch (args.r.dtype()) {
    case DType::kF16:
      return TimeMixHeads<__half>(args, context);
    case DType::kBF16:
      return TimeMixHeads<__nv_bfloat16>(args, context);
    default:
      return TimeMixHeads<float>(args, context);
  }
}

}  // namespace skein
