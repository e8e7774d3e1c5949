// A warp per output and up to eight rows, in fp32. Every row sums in the same order, whatever the
// number of rows.
#include <algorithm>
#include <cstdint>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/plain_products.h"

namespace skein {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxTasks = 8;
constexpr int kVector = 8;      // inputs that a lane takes at a time
constexpr int kAcrossRows = 8;  // rows of a block where the weights are transposed

struct Task {
  const void* weight = nullptr;
  DType dtype = DType::kF32;
  bool vectors = false;  // rows may be read 16 bytes at a time
  const float* bias = nullptr;
  Activation activation = Activation::kNone;
  cuda::Elements x = {};
  cuda::MutableElements y = {};
  bool accumulate = false;  // to y
  int rows = 0, outputs = 0, inputs = 0;
  int first_block = 0;
};
struct TaskGroup {
  Task tasks[kMaxTasks];
  int count = 0;
};

__device__ inline void Load(const float* from, float (&to)[kVector]) {
  const float4 a = reinterpret_cast<const float4*>(from)[0],
               b = reinterpret_cast<const float4*>(from)[1];
  to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w;
  to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}

template <typename Half>
__device__ inline void Load(const Half* from, float (&to)[kVector]) {
  const uint4 bits = *reinterpret_cast<const uint4*>(from);
  const Half* halves = reinterpret_cast<const Half*>(&bits);
#pragma unroll
  for (int i = 0; i < kVector; ++i) to[i] = cuda::Widen(halves[i]);
}

__device__ inline void LoadX(const Task& task, int64_t at, float (&to)[kVector]) {
  if (task.x.dtype == DType::kF16) return Load(static_cast<const __half*>(task.x.data) + at, to);
  if (task.x.dtype == DType::kBF16) {
    return Load(static_cast<const __nv_bfloat16*>(task.x.data) + at, to);
  }
  Load(static_cast<const float*>(task.x.data) + at, to);
}

__device__ inline void Finish(const Task& task, int row, int output, float sum) {
  const int64_t at = static_cast<int64_t>(row) * task.outputs + output;
  const float bias = task.bias == nullptr ? 0.0f : task.bias[output];
  const float result = cuda::Activated(sum + bias, task.activation);
  task.y.Store(at, task.accumulate ? task.y[at] + result : result);
}

// Dot products of one output's weights with rows [first, first + kRows), of which `rows` exist.
template <int kRows, typename W>
__device__ void Dots(const W* weight, const Task& task, int first, int rows, float (&sum)[kRows]) {
  const int lane = threadIdx.x % cuda::kWarp;
  const int64_t x = static_cast<int64_t>(first) * task.inputs;
  if (!task.vectors) {
    for (int k = lane; k < task.inputs; k += cuda::kWarp) {
      const float w = cuda::Widen(weight[k]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r < rows) sum[r] = fmaf(w, task.x[x + r * task.inputs + k], sum[r]);
      }
    }
    return;
  }
#pragma unroll 2
  for (int k = lane * kVector; k < task.inputs; k += cuda::kWarp * kVector) {
    float w[kVector];
    Load(weight + k, w);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows) continue;
      float v[kVector];
      LoadX(task, x + r * task.inputs + k, v);
#pragma unroll
      for (int i = 0; i < kVector; ++i) sum[r] = fmaf(w[i], v[i], sum[r]);
    }
  }
}

template <int kRows>
__global__ void __launch_bounds__(kWarps* cuda::kWarp) PlainKernel(const TaskGroup group) {
  cuda::ReleaseDependents();
  cuda::DependencyWait();
  int index = 0;
  while (index + 1 < group.count &&
         group.tasks[index + 1].first_block <= static_cast<int>(blockIdx.x))
    ++index;
  const Task& task = group.tasks[index];
  const int lane = threadIdx.x % cuda::kWarp;
  const int output = (blockIdx.x - task.first_block) * kWarps + threadIdx.x / cuda::kWarp;
  const int first_row = blockIdx.y * kRows;
  if (output >= task.outputs || first_row >= task.rows) return;
  const int rows = min(kRows, task.rows - first_row);
  const int64_t at = static_cast<int64_t>(output) * task.inputs;
  float sum[kRows] = {};
  if (task.dtype == DType::kBF16) {
    Dots(static_cast<const __nv_bfloat16*>(task.weight) + at, task, first_row, rows, sum);
  } else if (task.dtype == DType::kF16) {
    Dots(static_cast<const __half*>(task.weight) + at, task, first_row, rows, sum);
  } else {
    Dots(static_cast<const float*>(task.weight) + at, task, first_row, rows, sum);
  }
  float mine = 0;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float total = cuda::WarpSum(sum[r]);
    if (lane == r) mine = total;
  }
  if (lane < rows) Finish(task, first_row + lane, output, mine);
}

// Weights [inputs, outputs]: a lane per output, the inputs dealt out to the warps.
template <typename W>
__device__ void DotsAcross(const W* weight, const Task& task, int output, int first, int rows,
                           float (&sum)[kAcrossRows]) {
  const int64_t x = static_cast<int64_t>(first) * task.inputs;
  for (int k = threadIdx.x / cuda::kWarp; k < task.inputs; k += kWarps) {
    const float w = cuda::Widen(weight[static_cast<int64_t>(k) * task.outputs + output]);
#pragma unroll
    for (int r = 0; r < kAcrossRows; ++r) {
      if (r < rows) sum[r] = fmaf(w, task.x[x + r * task.inputs + k], sum[r]);
    }
  }
}

__global__ void __launch_bounds__(kWarps* cuda::kWarp) PlainAcrossKernel(const Task task) {
  __shared__ float sums[kWarps][kAcrossRows][cuda::kWarp];
  cuda::ReleaseDependents();
  cuda::DependencyWait();
  const int lane = threadIdx.x % cuda::kWarp, warp = threadIdx.x / cuda::kWarp;
  const int output = blockIdx.x * cuda::kWarp + lane;
  const int first_row = blockIdx.y * kAcrossRows;
  const int rows = min(kAcrossRows, task.rows - first_row);
  float sum[kAcrossRows] = {};
  if (output < task.outputs) {
    if (task.dtype == DType::kBF16) {
      DotsAcross(static_cast<const __nv_bfloat16*>(task.weight), task, output, first_row, rows,
                 sum);
    } else if (task.dtype == DType::kF16) {
      DotsAcross(static_cast<const __half*>(task.weight), task, output, first_row, rows, sum);
    } else {
      DotsAcross(static_cast<const float*>(task.weight), task, output, first_row, rows, sum);
    }
  }
#pragma unroll
  for (int r = 0; r < kAcrossRows; ++r) sums[warp][r][lane] = sum[r];
  __syncthreads();
  if (warp >= rows || output >= task.outputs) return;  // a warp per row from here on
  float total = 0;
  for (int w = 0; w < kWarps; ++w) total += sums[w][warp][lane];
  Finish(task, first_row + warp, output, total);
}
static_assert(kAcrossRows <= kWarps);

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

Task MakeTask(const Projection& p) {
  Task task;
  task.weight = p.weight.data;
  task.dtype = p.weight.dtype;
  task.bias = p.bias.data();
  task.activation = p.activation;
  task.x = cuda::ElementsOf(p.x);
  task.y = cuda::ElementsOf(p.y);
  task.accumulate = p.accumulate;
  task.rows = static_cast<int>(p.x.dim(0));
  task.outputs = static_cast<int>(p.weight.rows);
  task.inputs = static_cast<int>(p.weight.cols);
  task.vectors = task.inputs % kVector == 0 && Aligned(task.weight) && Aligned(p.x.data());
  return task;
}

int Blocks(int64_t work, int per_block) {
  return static_cast<int>((work + per_block - 1) / per_block);
}

absl::Status LaunchAcross(const Task& task, const CudaContext& context) {
  if (task.rows == 0) return absl::OkStatus();
  const dim3 grid(Blocks(task.outputs, cuda::kWarp), Blocks(task.rows, kAcrossRows));
  return cuda::Launch(context, "plain_products", PlainAcrossKernel,
                      {grid, dim3(kWarps * cuda::kWarp)}, task);
}

absl::Status Launch(TaskGroup& group, const CudaContext& context) {
  int blocks = 0, rows = 0;
  for (int i = 0; i < group.count; ++i) {
    group.tasks[i].first_block = blocks;
    blocks += Blocks(group.tasks[i].outputs, kWarps);
    rows = std::max(rows, group.tasks[i].rows);
  }
  if (blocks == 0 || rows == 0) return absl::OkStatus();
  const auto launch = [&](auto kernel, int tile) {
    return cuda::Launch(context, "plain_products", kernel,
                        {dim3(blocks, Blocks(rows, tile)), dim3(kWarps * cuda::kWarp)}, group);
  };
  if (rows == 1) return launch(PlainKernel<1>, 1);
  if (rows == 2) return launch(PlainKernel<2>, 2);
  if (rows <= 4) return launch(PlainKernel<4>, 4);
  return launch(PlainKernel<8>, 8);
}

}  // namespace

absl::Status PlainProducts(std::span<const Projection> projections, CudaContext& context) {
  TaskGroup group;
  for (const Projection& p : projections) {
    if (p.weight.transposed) {
      RETURN_IF_ERROR(LaunchAcross(MakeTask(p), context));
      continue;
    }
    group.tasks[group.count++] = MakeTask(p);
    if (group.count == kMaxTasks) {
      RETURN_IF_ERROR(Launch(group, context));
      group.count = 0;
    }
  }
  return Launch(group, context);
}

}  // namespace skein
