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
  cuda::MutableElements out[kMaxInputs];
  int count = 0;
};

struct Rows {
  const int32_t* row_begin = nullptr;
  const int32_t* slots = nullptr;
  int sequences = 0;
  char* shift = nullptr;
  int64_t slot_stride = 0;

  // Null for a sequence without state.
  __device__ float* Shift(int sequence) const {
    const int slot = slots[sequence];
    return slot < 0 ? nullptr : reinterpret_cast<float*>(shift + slot * slot_stride);
  }
};

__global__ void NormKernel(const float* x, const float* w, const float* b, float eps, int width,
                           float* normed) {
  __shared__ float scratch[cuda::kWarp];
  const int64_t at = static_cast<int64_t>(blockIdx.x) * width;
  cuda::NormRow(x + at, w, b, eps, width, scratch,
                [&](int c, float value) { normed[at + c] = value; });
}

__global__ void LerpKernel(const float* normed, const Lerps lerps, const Rows rows, int width) {
  const int row = blockIdx.x;
  const int sequence = cuda::SequenceOf(rows.row_begin, rows.sequences, row);
  const float* now = normed + static_cast<int64_t>(row) * width;
  const float* before = row > rows.row_begin[sequence] ? now - width : rows.Shift(sequence);
  if (before == nullptr) before = now;
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    const float n = now[c], d = before[c] - n;
    for (int i = 0; i < lerps.count; ++i) {
      lerps.out[i].Store(static_cast<int64_t>(row) * width + c, fmaf(d, lerps.mix[i][c], n));
    }
  }
}

__global__ void SaveKernel(const float* normed, const Rows rows, int width) {
  const int sequence = blockIdx.x;
  const float* last = normed + static_cast<int64_t>(rows.row_begin[sequence + 1] - 1) * width;
  float* shift = rows.Shift(sequence);
  if (shift == nullptr) return;
  for (int c = threadIdx.x; c < width; c += blockDim.x) shift[c] = last[c];
}

}  // namespace

absl::Status TokenShiftCuda(const TokenShift& args, std::span<const ShiftedInput> inputs,
                            CudaContext& context) {
  SKEIN_CHECK(inputs.size() <= kMaxInputs);
  const int count = static_cast<int>(args.x.dim(0)), width = static_cast<int>(args.x.dim(1));
  if (count == 0) return absl::OkStatus();
  Lerps lerps;
  for (const ShiftedInput& input : inputs) {
    lerps.mix[lerps.count] = input.mix.data();
    lerps.out[lerps.count++] = cuda::ElementsOf(input.out);
  }
  const Rows rows = {args.sequences.row_begin.data(), args.sequences.slots.data(),
                     static_cast<int>(args.sequences.count()), static_cast<char*>(args.shift.base),
                     args.shift.slot_stride};
  NormKernel<<<count, kThreads, 0, context.stream>>>(args.x.data(), args.norm_weight.data(),
                                                     args.norm_bias.data(), args.eps, width,
                                                     args.normed.data());
  LerpKernel<<<count, kThreads, 0, context.stream>>>(args.normed.data(), lerps, rows, width);
  SaveKernel<<<rows.sequences, kThreads, 0, context.stream>>>(args.normed.data(), rows, width);
  return LaunchStatus("token_shift");
}

}  // namespace skein
