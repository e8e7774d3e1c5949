#pragma once

#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/wkv.cuh"
#include "kernels/cuda/wkv_launch.cuh"
#include "kernels/time_mix_wkv/heads.h"
#include "kernels/time_mix_wkv/stage.cuh"

namespace skein {

// Any head size: grid (head, sequence), a thread per channel; thread i owns value channel i of the
// state.
template <typename In>
__global__ void TimeMixPlainKernel(const cuda::TimeMixStage<In> stage,
                                   const cuda::WkvSequences sequences, int n) {
  extern __shared__ float shared[];
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  const int i = threadIdx.x, head = blockIdx.x, sequence = blockIdx.y;
  const bool owner = i < n;
  const cuda::SharedHead inputs = {shared, cuda::VectorStride(n)};
  const int c = head * n + i;  // channel
  if (sequences.slots[sequence] < 0) return;
  float* s = sequences.Head<float>(sequences.slots[sequence], head, n) + i * n;
  const float k_k = owner ? stage.k_k[c] : 0.0f, k_a = owner ? stage.k_a[c] : 0.0f,
              r_k = owner ? stage.r_k[c] : 0.0f;
  for (int64_t row = sequences.begin(sequence); row < sequences.end(sequence); ++row) {
    const int64_t at = row * stage.width + c;
    const float r = owner ? cuda::Widen(stage.r[at]) : 0.0f,
                k = owner ? cuda::Widen(stage.k[at]) : 0.0f,
                a = owner ? cuda::Widen(stage.a[at]) : 0.0f;
    float v[1] = {0};
    if (owner) {
      stage.template Values<1>(row, c, v);
      stage.template PublishValues<1>(row, c, v);
    }
    const float removal = k * k_k;
    const float q = removal / fmaxf(sqrtf(cuda::BlockSum(removal * removal, scratch)), 1e-12f);
    const float scaled = k * fmaf(a - 1.0f, k_a, 1.0f);
    if (owner)
      inputs.Store(i, r, exp2f(cuda::LogDecay(cuda::Widen(stage.w[at]))), scaled, q, q * a);
    __syncthreads();
    const float y = owner ? cuda::WkvStep(s, inputs.vectors(), v[0], n) : 0.0f;
    const float mean = cuda::BlockSum(y, scratch) / n;
    const float centred = owner ? y - mean : 0.0f;
    const float scale = rsqrtf(cuda::BlockSum(centred * centred, scratch) / n + stage.norm_eps);
    const float bonus = cuda::BlockSum(r * scaled * r_k, scratch);
    const float normed[1] = {centred * scale};
    if (owner) {
      stage.template Finish<1>(row, c, stage.template LoadGate<1>(row, c), bonus, v, normed);
    }
  }
}

template <typename In>
cuda::TimeMixStage<In> MakeStage(const TimeMixWkvArgs& args) {
  const auto in = [](const ConstActivationView& x) { return static_cast<const In*>(x.data()); };
  cuda::TimeMixStage<In> stage;
  stage.r = in(args.r);
  stage.k = in(args.k);
  stage.v = in(args.v);
  stage.w = in(args.w);
  stage.a = in(args.a);
  stage.g = in(args.g);
  stage.v_mix = in(args.v_mix);
  stage.v_first = static_cast<In*>(args.v_first.data());
  stage.y = cuda::ElementsOf(args.y);
  stage.k_k = args.k_k.data();
  stage.k_a = args.k_a.data();
  stage.r_k = args.r_k.data();
  stage.norm_weight = args.norm_weight.data();
  stage.norm_bias = args.norm_bias.data();
  stage.norm_eps = args.norm_eps;
  stage.width = args.r_k.size();
  return stage;
}

template <typename In>
absl::Status TimeMixHeads(const TimeMixWkvArgs& args, CudaContext& context) {
  const int heads = static_cast<int>(args.r_k.dim(0)), n = static_cast<int>(args.r_k.dim(1));
  const cuda::TimeMixStage<In> stage = MakeStage<In>(args);
  // The products before have waited for whoever wrote the states.
  const cuda::WkvCall call = cuda::MakeWkvCall(args.sequences, args.state, args.positions, heads,
                                               /*early_state=*/true);
  if (cuda::HasFastWkv(n, args.state)) {
    // Released models have 64 channels; others go token by token in prompts too.
    if (n == 64) return cuda::LaunchWkv<64, __half>(context, stage, call);
    if (n == 96) return cuda::LaunchWkvTokens<96>(context, stage, call, call.max_rows);
    return cuda::LaunchWkvTokens<128>(context, stage, call, call.max_rows);
  }
  RETURN_IF_ERROR(cuda::CheckPlainWkv(args.state));
  const int threads = (n + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  return cuda::Launch(
      context, "time_mix_wkv", TimeMixPlainKernel<In>,
      {dim3(heads, call.sequences.count), dim3(threads), cuda::SharedHead::Bytes(n)}, stage,
      call.sequences, n);
}

}  // namespace skein
