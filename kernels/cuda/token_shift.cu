#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/token_shift.h"
#include "kernels/cuda/vector_io.cuh"
#include "kernels/device/cuda_context.h"

namespace skein {
namespace {

constexpr int kMaxInputs = 8;
constexpr int kColumns = 8;  // of a thread
constexpr int kMaxThreads = 1024;
// Blocks with several rows are held to this many, so that a thread may have 128 registers.
constexpr int kMaxWideThreads = 512;

struct Lerps {
  const float* mix[kMaxInputs];
  cuda::MutableElements out[kMaxInputs];
  int count = 0;
};

struct Norm {
  const float *x, *weight, *bias;
  float eps;
  int rows, width;
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

// The thread's columns of kCount rows, all normalised at once: two barriers whatever kCount is.
template <int kCount>
class NormedRows {
 public:
  __device__ explicit NormedRows(const Norm& norm)
      : norm_(norm), column_(threadIdx.x * kColumns), mine_(column_ < norm.width) {
    if (!mine_) return;
    cuda::LoadTo(weight_, norm.weight + column_);
    cuda::LoadTo(bias_, norm.bias + column_);
  }
  bool __device__ mine() const { return mine_; }
  int __device__ column() const { return column_; }

  // Row i is row(i) of x; one below zero counts as zeros.
  template <typename RowOf>
  __device__ void Load(RowOf row, float (&n)[kCount][kColumns]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
#pragma unroll
      for (int j = 0; j < kColumns; ++j) n[i][j] = 0;
      if (mine_ && row(i) >= 0) {
        cuda::LoadTo(n[i], norm_.x + static_cast<int64_t>(row(i)) * norm_.width + column_);
      }
    }
    float sums[kCount];
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      sums[i] = 0;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) sums[i] += n[i][j];
    }
    BlockSums(sums);
    const float scale = 1.0f / static_cast<float>(norm_.width);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float mean = sums[i] * scale;
      sums[i] = 0;
#pragma unroll
      for (int j = 0; j < kColumns; ++j) {
        n[i][j] -= mean;
        if (mine_) sums[i] = fmaf(n[i][j], n[i][j], sums[i]);
      }
    }
    BlockSums(sums);
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float factor = rsqrtf(sums[i] * scale + norm_.eps);
#pragma unroll
      for (int j = 0; j < kColumns; ++j) n[i][j] = fmaf(n[i][j] * factor, weight_[j], bias_[j]);
    }
  }

 private:
  __device__ void BlockSums(float (&x)[kCount]) {
    __shared__ float parts[kCount][cuda::kWarp];
    const int lane = threadIdx.x % cuda::kWarp, warp = threadIdx.x / cuda::kWarp;
    const int warps = blockDim.x / cuda::kWarp;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      const float sum = cuda::WarpSum(x[i]);
      if (lane == 0) parts[i][warp] = sum;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kCount; ++i) x[i] = cuda::WarpSum(lane < warps ? parts[i][lane] : 0.0f);
  }

  const Norm& norm_;
  const int column_;
  const bool mine_;
  float weight_[kColumns], bias_[kColumns];
};

// The block that has a sequence's first row reads the shift state and then, the same columns by the
// same threads, writes that of the last row, wherever that is: nobody else touches it.
__device__ void SaveLast(const Norm& norm, const Rows& rows, int sequence, int row,
                         const float (&normed)[kColumns]) {
  float* shift = rows.Shift(sequence);
  if (shift == nullptr) return;
  const int last = rows.end(sequence) - 1;
  float n[1][kColumns];
  NormedRows<1> other(norm);
  if (last != row) {
    other.Load([&](int) { return last; }, n);
  } else {
#pragma unroll
    for (int j = 0; j < kColumns; ++j) n[0][j] = normed[j];
  }
  if (other.mine()) cuda::StoreFrom(shift + other.column(), n[0]);
}

// A block takes kRows rows that follow each other, a thread eight columns of them.
template <int kRows>
__global__ void __launch_bounds__(kRows == 1 ? kMaxThreads : kMaxWideThreads)
    ShiftKernel(const Norm norm, const Rows rows, const Lerps lerps) {
  NormedRows<kRows + 1> block(norm);
  cuda::DependencyWait();
  cuda::ReleaseDependents();
  const int first = blockIdx.x * kRows;
  float n[kRows + 1][kColumns];  // of the row before and of the block's
  block.Load([&](int i) { return first + i <= norm.rows ? first + i - 1 : -1; }, n);
  float d[kRows][kColumns];
  int sequence[kRows];
  bool starts[kRows];
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    sequence[i] = rows.Find(min(first + i, norm.rows - 1));
    starts[i] = first + i < norm.rows && rows.begin(sequence[i]) == first + i;
    const float* shift = starts[i] ? rows.Shift(sequence[i]) : nullptr;
#pragma unroll
    for (int j = 0; j < kColumns; ++j) d[i][j] = starts[i] ? 0 : n[i][j];
    if (shift != nullptr && block.mine()) cuda::LoadTo(d[i], shift + block.column());
#pragma unroll
    for (int j = 0; j < kColumns; ++j) d[i][j] -= n[i + 1][j];
  }
  for (int c = 0; c < lerps.count && block.mine(); ++c) {
    float mix[kColumns];
    cuda::LoadTo(mix, lerps.mix[c] + block.column());
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (first + i >= norm.rows) continue;
      float out[kColumns];
#pragma unroll
      for (int j = 0; j < kColumns; ++j) out[j] = fmaf(d[i][j], mix[j], n[i + 1][j]);
      cuda::Store(lerps.out[c], static_cast<int64_t>(first + i) * norm.width + block.column(), out);
    }
  }
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    if (starts[i]) SaveLast(norm, rows, sequence[i], first + i, n[i + 1]);
  }
}

// Any width: three kernels, with the normalised rows in memory between them.
__global__ void NormKernel(const Norm norm, float* normed) {
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

absl::Status LaunchPlain(const CudaContext& context, const Norm& norm, const Rows& rows,
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
  const Norm norm = {
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
  // More rows in a block read the mixing vectors less often, once there are blocks for all.
  const int blocks = threads <= kMaxWideThreads ? norm.rows / context.sm_count : 1;
  if (blocks >= 4) return launch(ShiftKernel<4>, 4);
  if (blocks >= 2) return launch(ShiftKernel<2>, 2);
  return launch(ShiftKernel<1>, 1);
}

}  // namespace skein
