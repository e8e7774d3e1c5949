// Products of one to four rows as the kernel takes them: plain data, sizes already checked.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/dtype.h"
#include "kernels/cpu/rows.h"
#include "kernels/device/cuda_context.h"

namespace skein::cuda {

inline constexpr int kMaxGemvRows = 4;
inline constexpr int kMaxGemvProblems = 8;

// y = activation(W x + bias), or y += that, or y = silu(Wgate x) * W x.
struct GemvProblem {
  const void* weight = nullptr;  // [outputs, inputs], fp16 or bf16
  const void* gate = nullptr;    // [outputs, inputs] or null; all problems of a call alike
  const float* bias = nullptr;   // [outputs], may be null
  const float* mix = nullptr;    // [inputs]; how much of the token before, with a shift only
  const void* x = nullptr;       // [rows, inputs], unless the input is normed
  void* y = nullptr;             // [rows, outputs]
  int outputs = 0;
  int pooled = 0;  // of the outputs, the last ones; set by the launcher
  Activation activation = Activation::kNone;
  bool x_is_fp32 = false;  // else both are in the type of the weights
  bool y_is_fp32 = true;
  bool accumulate = false;
};

// How every block makes the input itself: x' = n + (p - n) * mix with n = norm(x) and p the
// sequence's last n, kept in its state. Layer norm with a bias, RMS norm without.
struct GemvNorm {
  const float* x = nullptr;         // [.., inputs], the residual stream; null without a norm
  const int32_t* gather = nullptr;  // [rows], rows of x; null: row i is row i
  const float* weight = nullptr;    // [inputs]
  const float* bias = nullptr;      // [inputs] or null
  float eps = 0;
  float* shift = nullptr;          // state of slot 0; null without a token shift
  int64_t slot_stride = 0;         // a multiple of 4
  const int32_t* slots = nullptr;  // [rows]; -1 reads and writes no state
};

struct GemvCall {
  GemvProblem problems[kMaxGemvProblems];
  GemvNorm norm;
  int num_problems = 0;
  int rows = 0;
  int inputs = 0;
  // Set by the launcher.
  int threads = 0;               // of a block that multiply
  int stages = 0;                // lines of weights that a block holds
  int owned = 0;                 // outputs of all problems that blocks own from the start
  int tile = 0;                  // pooled outputs that a block takes at a time; 0: no pools
  uint32_t* counters = nullptr;  // kGemvCounters
};

// Blocks that have read the state, and tiles asked for of each problem's pool.
inline constexpr int kGemvCounters = 1 + kMaxGemvProblems;

// Whether the kernel can stream rows of this length; inputs with a norm or a gate must lie within
// one pass of a block.
bool GemvTakesInputs(int64_t inputs, bool one_pass);

absl::Status LaunchGemv(GemvCall call, DType weight_type, const CudaContext& context);

}  // namespace skein::cuda
