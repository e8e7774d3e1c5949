#include <cstdint>

#include "common/base/check.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/token_shift.h"

namespace skein {
namespace {

constexpr int kThreads = 256;
constexpr int kMaxInputs = 8;

struct Lerps {
  const float* mix[kMaxInputs];
  float* out[kMaxInputs];
  int count = 0;
};

struct Rows {
  const int32_t* row_begin = nullptr;
  const int32_t* slots = nullptr;
  int sequences = 0;
  float* shift = nullptr;
  int64_t slot_stride = 0;
};

__global__ void NormKernel(const float* x, const float* w, const float* b, float eps, int width,
                           float* normed) {
  __shared__ float scratch[cuda::kWarp];
  const int64_t at = static_cast<int64_t>(blockIdx.x) * width;
  cuda::NormRow(x + at, w, b, eps, width, normed + at, scratch);
}

__global__ void LerpKernel(const float* normed, const Lerps lerps, const Rows rows, int width) {
  const int row = blockIdx.x;
  const int sequence = cuda::SequenceOf(rows.row_begin, rows.sequences, row);
  const float* now = normed + static_cast<int64_t>(row) * width;
  const float* before = row > rows.row_begin[sequence]
                            ? now - width
                            : rows.shift + rows.slots[sequence] * rows.slot_stride;
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    const float n = now[c], d = before[c] - n;
    for (int i = 0; i < lerps.count; ++i) {
      lerps.out[i][static_cast<int64_t>(row) * width + c] = fmaf(d, lerps.mix[i][c], n);
    }
  }
}

__global__ void SaveKernel(const float* normed, const Rows rows, int width) {
  const int sequence = blockIdx.x;
  const float* last = normed + static_cast<int64_t>(rows.row_begin[sequence + 1] - 1) * width;
  float* shift = rows.shift + rows.slots[sequence] * rows.slot_stride;
  for (int c = threadIdx.x; c < width; c += blockDim.x) shift[c] = last[c];
}

}  // namespace

absl::Status TokenShiftCuda(const TokenShift& args, std::span<const ShiftedInput> inputs,
                            CUstream_st* stream) {
  SKEIN_CHECK(inputs.size() <= kMaxInputs);
  const int count = static_cast<int>(args.x.dim(0)), width = static_cast<int>(args.x.dim(1));
  if (count == 0) return absl::OkStatus();
  Lerps lerps;
  for (const ShiftedInput& input : inputs) {
    lerps.mix[lerps.count] = input.mix.data();
    lerps.out[lerps.count++] = input.out.data();
  }
  const Rows rows = {args.sequences.row_begin.data(), args.sequences.slots.data(),
                     static_cast<int>(args.sequences.count()), args.shift.base,
                     args.shift.slot_stride};
  NormKernel<<<count, kThreads, 0, stream>>>(args.x.data(), args.norm_weight.data(),
                                             args.norm_bias.data(), args.eps, width,
                                             args.normed.data());
  LerpKernel<<<count, kThreads, 0, stream>>>(args.normed.data(), lerps, rows, width);
  SaveKernel<<<rows.sequences, kThreads, 0, stream>>>(args.normed.data(), rows, width);
  return LaunchStatus("token_shift");
}

}  // namespace skein
