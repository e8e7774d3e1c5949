#pragma once

#include "kernels/cuda/wkv_launch.cuh"
#include "kernels/hybrid_wkv/heads.h"
#include "kernels/hybrid_wkv/stage.cuh"

namespace skein {

template <int N, typename In>
cuda::HybridStage<N, In> MakeStage(const HybridWkvArgs& args) {
  const auto in = [](const ConstActivationView& x) { return static_cast<const In*>(x.data()); };
  cuda::HybridStage<N, In> stage;
  stage.r = in(args.r);
  stage.k = in(args.k);
  stage.v = in(args.v);
  stage.u = in(args.u);
  stage.a = in(args.a);
  stage.g = in(args.g);
  stage.k_mix = in(args.k_mix);
  stage.v_mix = in(args.v_mix);
  stage.k_first = static_cast<In*>(args.k_first.data());
  stage.v_first = static_cast<In*>(args.v_first.data());
  stage.y = cuda::ElementsOf(args.y);
  stage.r_norm = args.r_norm.data();
  stage.k_norm = args.k_norm.data();
  stage.r_k = args.r_k.data();
  stage.cosines = args.cosines.data();
  stage.sines = args.sines.data();
  stage.norm_eps = args.norm_eps;
  stage.heads = static_cast<int>(args.r_k.dim(0));
  stage.group = static_cast<int>(args.r.dim(1) / args.k.dim(1));
  return stage;
}

// `In` is the type of what the products left, T that of the chunks' products.
template <int N, typename In, typename T>
absl::Status RunHeads(const HybridWkvArgs& args, const CudaContext& context) {
  const auto stage = MakeStage<N, In>(args);
  // The products before have waited for whoever wrote the states.
  const cuda::WkvCall call = cuda::MakeWkvCall(args.sequences, args.state, args.positions,
                                               stage.heads, /*early_state=*/true);
  return cuda::LaunchWkv<N, T>(context, stage, call);
}

// Keys are not bounded as those of RWKV-7 are: chunks keep to bf16 with its range where the model
// does.
template <int N>
absl::Status HybridHeads(const HybridWkvArgs& args, CudaContext& context) {
  switch (args.r.dtype()) {
    case DType::kF16:
      return RunHeads<N, __half, __half>(args, context);
    case DType::kBF16:
      return RunHeads<N, __nv_bfloat16, __nv_bfloat16>(args, context);
    default:
      return args.y.dtype() == DType::kBF16 ? RunHeads<N, float, __nv_bfloat16>(args, context)
                                            : RunHeads<N, float, __half>(args, context);
  }
}

}  // namespace skein
