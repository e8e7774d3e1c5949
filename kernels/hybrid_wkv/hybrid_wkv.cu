#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/tensor/dtype.h"
#include "kernels/cuda/wkv_state.cuh"
#include "kernels/device/cuda_context.h"
#include "kernels/hybrid_wkv/heads.h"
#include "kernels/hybrid_wkv/hybrid_wkv.h"
#include "kernels/hybrid_wkv/products.h"

namespace skein {
namespace {

absl::Status CheckForCuda(const HybridWkvArgs& args) {
  const int64_t n = args.r_k.dim(1);
  if (!cuda::HasFastWkv(static_cast<int>(n), args.state) || args.state.dtype != DType::kF32) {
    return absl::InvalidArgumentError(
        absl::StrCat("hybrid_wkv: state: ", DTypeName(args.state.dtype), " and heads of ", n,
                     ", expected fp32 in records of whole 16 bytes, and heads of 64, 96 or 128"));
  }
  for (const ConstActivationView& x :
       {args.k, args.v, ConstActivationView(args.u), ConstActivationView(args.a),
        ConstActivationView(args.g), ConstActivationView(args.k_first),
        ConstActivationView(args.v_first)}) {
    if (x.dtype() != args.r.dtype()) {
      return absl::InvalidArgumentError(
          absl::StrCat("hybrid_wkv: k, v, u, a, g, k_first or v_first: ", DTypeName(x.dtype()),
                       ", expected what r has, ", DTypeName(args.r.dtype())));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status HybridWkvCuda(const HybridWkvArgs& args, CudaContext& context) {
  RETURN_IF_ERROR(CheckForCuda(args));
  RETURN_IF_ERROR(ProjectCuda(HybridWkvProducts(args), context));
  switch (args.r_k.dim(1)) {
    case 64:
      return HybridHeads<64>(args, context);
    case 96:
      return HybridHeads<96>(args, context);
    default:
      return HybridHeads<128>(args, context);
  }
}

}  // namespace skein
