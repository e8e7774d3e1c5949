#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/normed_columns.cuh"
#include "kernels/cuda/token_shift.h"
#include "kernels/cuda/vector_io.cuh"
#include "kernels/device/cuda_context.h"

namespace skein {
namespace {

using cuda::kColumns;
using cuda::LayerNorm;
using cuda::NormedColumns;

constexpr int kMaxInputs = 8;
constexpr int kMaxThreads = 1024;
// Up to this many threads a block may have a thread with 64 registers and a neighbour on its
// multiprocessor, or one with 128.
constexpr int kMaxWideThreads = 512;

struct Lerps {
  const float* mix[kMaxInputs];
  cuda::MutableElements out[kMaxInputs];
  int count = 0;
};

struct Rows {
  const int32_t* row_begin = nullptr;
  const int32_t* slots = nullptr;
  int sequences = 0;
  bool is_decode = false;
  char* shift = nullptr;
  int64_t slot_stride = 0;

  // By a whole warp, in steps of 32 at once: the sequence of `row`.
  __device__ int Find(int row) const {
    if (is_decode) return row;
    int low = 0, count = sequences;
    while (count > 1) {
      const int step = (count + cuda::kWarp - 1) / cuda::kWarp;
      const int at = low + static_cast<int>(threadIdx.x % cuda::kWarp) * step;
      const bool begun = at < low + count && row_begin[at] <= row;
      const int last = __popc(__ballot_sync(~0u, begun)) - 1;
      count = min(step, low + count - (low + last * step));
      low += last * step;
    }
    return low;
  }
  __device__ int begin(int sequence) const { return is_decode ? sequence : row_begin[sequence]; }
  __device__ int end(int sequence) const {
    return is_decode ? sequence + 1 : row_begin[sequence + 1];
  }
  // Null for a sequence without state.
  __device__ float* Shift(int sequence) const {
    const int slot = slots[sequence];
    return slot < 0 ? nullptr : reinterpret_cast<float*>(shift + slot * slot_stride);
  }
};

// The block that has a sequence's first row reads the shift state and then, the same columns by the
// same threads, writes that of the last row, wherever that is: nobody else touches it.
__device__ void SaveLast(const LayerNorm& norm, const Rows& rows, int sequence, int row,
                         const float (&normed)[kColumns]) {
  float* shift = rows.Shift(sequence);
  if (shift == nullptr) return;
  NormedColumns columns(norm);
  const int last = rows.end(sequence) - 1;
  if (last == row) {
    if (columns.mine()) cuda::StoreFrom(shift + columns.column(), normed);
    return;
  }
  float n[1][kColumns];
  columns.Load([&](int) { return last; }, n);
  columns.LoadWeights();
  columns.Normalise(n);
  if (columns.mine()) cuda::StoreFrom(shift + columns.column(), n[0]);
}

// What a block takes.
template <bool is_decode, int rows, int ahead, int threads, int min_blocks>
struct ShiftShape {
  static constexpr bool kDecode = is_decode;  // every row is a sequence and needs no other row
  static constexpr int kRows = rows;          // one behind the other
  static constexpr int kAhead = ahead;        // mixing vectors on their way at a time
  static constexpr int kThreads = threads, kMinBlocks = min_blocks;
};

// The thread's columns of the mixing vectors, kAhead of them in registers.
template <int kAhead>
class MixColumns {
 public:
  __device__ MixColumns(const Lerps& lerps, const NormedColumns& columns)
      : lerps_(lerps), columns_(columns) {}
  __device__ void Start() {
#pragma unroll
    for (int c = 0; c < kAhead; ++c) Fetch(c, c);
  }
  // use(c, mix) for each of them; the place of one is filled with another before it is used.
  template <typename Use>
  __device__ void ForEach(Use use) {
#pragma unroll 1
    for (int begin = 0; begin < lerps_.count; begin += kAhead) {
#pragma unroll
      for (int i = 0; i < kAhead; ++i) {
        if (begin + i >= lerps_.count) break;
        float mix[kColumns];
#pragma unroll
        for (int j = 0; j < kColumns; ++j) mix[j] = mix_[i][j];
        Fetch(begin + i + kAhead, i);
        use(begin + i, mix);
      }
    }
  }

 private:
  __device__ void Fetch(int c, int place) {
    if (c >= lerps_.count || !columns_.mine()) return;
    cuda::LoadTo(mix_[place], lerps_.mix[c] + columns_.column());
  }

  const Lerps& lerps_;
  const NormedColumns& columns_;
  float mix_[kAhead][kColumns];
};

// A thread takes eight columns of the block's rows.
template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kMinBlocks)
    ShiftKernel(const LayerNorm norm, const Rows rows, const Lerps lerps) {
  constexpr int kRows = Shape::kRows, kBefore = Shape::kDecode ? 0 : 1;
  NormedColumns columns(norm);
  MixColumns<Shape::kAhead> mixes(lerps, columns);
  // Where registers are few, what is constant comes when it is wanted: other blocks run meanwhile.
  constexpr bool kEarly = Shape::kMinBlocks == 1;
  if constexpr (kEarly) columns.LoadWeights(), mixes.Start();
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int first = blockIdx.x * kRows;
  float n[kRows + kBefore][kColumns];  // of the row before and of the block's
  columns.Load([&](int i) { return first + i - kBefore < norm.rows ? first + i - kBefore : -1; },
               n);
  float d[kRows][kColumns];
  int sequence[kRows];
  bool starts[kRows];
  const auto load_shift = [&](bool start, int at, float(&to)[kColumns]) {
    const float* shift = start ? rows.Shift(at) : nullptr;
    if (shift != nullptr && columns.mine()) cuda::LoadTo(to, shift + columns.column());
  };
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    const bool exists = first + i < norm.rows;
    sequence[i] = Shape::kDecode ? first + i : rows.Find(min(first + i, norm.rows - 1));
    starts[i] = exists && (Shape::kDecode || rows.begin(sequence[i]) == first + i);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) d[i][j] = 0;
    if constexpr (Shape::kDecode) load_shift(starts[i], sequence[i], d[i]);
  }
  if constexpr (!kEarly) columns.LoadWeights();
  columns.Normalise(n);
  if constexpr (!kEarly) mixes.Start();
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if constexpr (!Shape::kDecode) load_shift(starts[i], sequence[i], d[i]);
#pragma unroll
    for (int j = 0; j < kColumns; ++j) {
      const float before = starts[i] ? d[i][j] : n[i][j];
      d[i][j] = before - n[i + kBefore][j];
    }
  }
  const auto write = [&](int c, const float(&mix)[kColumns]) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (first + i >= norm.rows) continue;
      float out[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) out[j] = fmaf(d[i][j], mix[j], n[i + kBefore][j]);
      cuda::Store(lerps.out[c], static_cast<int64_t>(first + i) * norm.width + columns.column(),
                  out);
    }
  };
  if (columns.mine()) mixes.ForEach(write);
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (starts[i]) SaveLast(norm, rows, sequence[i], first + i, n[i + kBefore]);
  }
}

// Any width: three kernels, with the normalised rows in memory between them.
__global__ void NormKernel(const LayerNorm norm, float* normed) {
  __shared__ float scratch[cuda::kWarp];
  cuda::DependencyWait();
  const int64_t at = static_cast<int64_t>(blockIdx.x) * norm.width;
  cuda::NormRow(norm.x + at, norm.weight, norm.bias, norm.eps, norm.width, scratch,
                [&](int c, float value) { normed[at + c] = value; });
}

__global__ void LerpKernel(const float* normed, const Rows rows, const Lerps lerps, int width) {
  cuda::DependencyWait();
  const int row = blockIdx.x;
  const int sequence = rows.Find(row);
  const float* now = normed + static_cast<int64_t>(row) * width;
  const float* before = row > rows.begin(sequence) ? now - width : rows.Shift(sequence);
  if (before == nullptr) before = now;
  for (int c = threadIdx.x; c < width; c += blockDim.x) {
    const float n = now[c], d = before[c] - n;
    for (int i = 0; i < lerps.count; ++i) {
      lerps.out[i].Store(static_cast<int64_t>(row) * width + c, fmaf(d, lerps.mix[i][c], n));
    }
  }
}

__global__ void SaveKernel(const float* normed, const Rows rows, int width) {
  cuda::DependencyWait();
  float* shift = rows.Shift(blockIdx.x);
  if (shift == nullptr) return;
  const float* last = normed + static_cast<int64_t>(rows.end(blockIdx.x) - 1) * width;
  for (int c = threadIdx.x; c < width; c += blockDim.x) shift[c] = last[c];
}

absl::Status LaunchPlain(const CudaContext& context, const LayerNorm& norm, const Rows& rows,
                         const Lerps& lerps, float* normed) {
  const dim3 threads(256);
  RETURN_IF_ERROR(
      cuda::Launch(context, "norm", NormKernel, {dim3(norm.rows), threads}, norm, normed));
  RETURN_IF_ERROR(cuda::Launch(context, "token_shift", LerpKernel, {dim3(norm.rows), threads},
                               normed, rows, lerps, norm.width));
  return cuda::Launch(context, "save_shift", SaveKernel, {dim3(rows.sequences), threads}, normed,
                      rows, norm.width);
}

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

bool IsFast(const TokenShift& args, const Lerps& lerps) {
  bool fast = args.x.dim(1) % kColumns == 0 && args.x.dim(1) <= kColumns * kMaxThreads &&
              Aligned(args.x.data()) && Aligned(args.norm_weight.data()) &&
              Aligned(args.norm_bias.data()) && Aligned(args.shift.base) &&
              args.shift.slot_stride % 16 == 0;
  for (int i = 0; i < lerps.count; ++i) {
    fast = fast && Aligned(lerps.mix[i]) && Aligned(lerps.out[i].data);
  }
  return fast;
}

}  // namespace

absl::Status TokenShiftCuda(const TokenShift& args, std::span<const ShiftedInput> inputs,
                            CudaContext& context) {
  SKEIN_CHECK(inputs.size() <= kMaxInputs);
  const LayerNorm norm = {
      args.x.data(), args.norm_weight.data(),         args.norm_bias.data(),
      args.eps,      static_cast<int>(args.x.dim(0)), static_cast<int>(args.x.dim(1))};
  if (norm.rows == 0) return absl::OkStatus();
  Lerps lerps;
  for (const ShiftedInput& input : inputs) {
    lerps.mix[lerps.count] = input.mix.data();
    lerps.out[lerps.count++] = cuda::ElementsOf(input.out);
  }
  const Rows rows = {args.sequences.row_begin.data(),          args.sequences.slots.data(),
                     static_cast<int>(args.sequences.count()), args.sequences.is_decode(),
                     static_cast<char*>(args.shift.base),      args.shift.slot_stride};
  if (!IsFast(args, lerps)) return LaunchPlain(context, norm, rows, lerps, args.normed.data());
  const int threads = (norm.width / kColumns + cuda::kWarp - 1) / cuda::kWarp * cuda::kWarp;
  const auto launch = [&](auto kernel, int rows_of_block) {
    return cuda::Launch(context, "token_shift", kernel,
                        {dim3((norm.rows + rows_of_block - 1) / rows_of_block), dim3(threads)},
                        norm, rows, lerps);
  };
  const bool decode = rows.is_decode;
  if (threads > kMaxWideThreads) {
    return decode ? launch(ShiftKernel<ShiftShape<true, 1, 1, kMaxThreads, 1>>, 1)
                  : launch(ShiftKernel<ShiftShape<false, 1, 1, kMaxThreads, 1>>, 1);
  }
  // More rows in a block read the mixing vectors less often, once there are blocks for all.
  if (norm.rows <= context.sm_count) {
    return decode ? launch(ShiftKernel<ShiftShape<true, 1, 6, kMaxWideThreads, 1>>, 1)
                  : launch(ShiftKernel<ShiftShape<false, 1, 6, kMaxWideThreads, 1>>, 1);
  }
  return decode ? launch(ShiftKernel<ShiftShape<true, 2, 1, kMaxWideThreads, 2>>, 2)
                : launch(ShiftKernel<ShiftShape<false, 2, 1, kMaxWideThreads, 2>>, 2);
}

}  // namespace skein
