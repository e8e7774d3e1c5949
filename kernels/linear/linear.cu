// The plain CUDA form of products: a warp per output and up to eight rows, in fp32. Every row sums
// in the same order, so its result is bit-equal for any number of rows.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/linear.h"

namespace skein {
namespace {

constexpr int kWarps = 8;  // of a block, one output each
constexpr int kMaxTasks = 8;
constexpr int kVector = 8;  // inputs that a lane takes at a time

struct Task {
  const void* weight = nullptr;
  DType dtype = DType::kF32;
  bool vectors = false;  // rows may be read 16 bytes at a time
  const float* bias = nullptr;
  Activation activation = Activation::kNone;
  const float* x = nullptr;
  float* y = nullptr;
  bool add = false;  // to y
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
  const uint4 bits = __ldcs(reinterpret_cast<const uint4*>(from));
  const Half* halves = reinterpret_cast<const Half*>(&bits);
#pragma unroll
  for (int i = 0; i < kVector; ++i) to[i] = cuda::Widen(halves[i]);
}

// Dot products of one output's weights with rows [0, kRows) of x, of which `rows` exist.
template <int kRows, typename W>
__device__ void Dots(const W* weight, const Task& task, const float* x, int rows,
                     float (&sum)[kRows]) {
  const int lane = threadIdx.x % cuda::kWarp;
  if (!task.vectors) {
    for (int k = lane; k < task.inputs; k += cuda::kWarp) {
      const float w = cuda::Widen(weight[k]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (r < rows) sum[r] = fmaf(w, x[static_cast<int64_t>(r) * task.inputs + k], sum[r]);
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
      Load(x + static_cast<int64_t>(r) * task.inputs + k, v);
#pragma unroll
      for (int i = 0; i < kVector; ++i) sum[r] = fmaf(w[i], v[i], sum[r]);
    }
  }
}

template <int kRows>
__global__ void __launch_bounds__(kWarps* cuda::kWarp) ProjectKernel(const TaskGroup group) {
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
  const float* x = task.x + static_cast<int64_t>(first_row) * task.inputs;
  const int64_t at = static_cast<int64_t>(output) * task.inputs;
  float sum[kRows] = {};
  if (task.dtype == DType::kBF16) {
    Dots<kRows>(static_cast<const __nv_bfloat16*>(task.weight) + at, task, x, rows, sum);
  } else if (task.dtype == DType::kF16) {
    Dots<kRows>(static_cast<const __half*>(task.weight) + at, task, x, rows, sum);
  } else {
    Dots<kRows>(static_cast<const float*>(task.weight) + at, task, x, rows, sum);
  }
  float mine = 0;
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    const float total = cuda::WarpSum(sum[r]);
    if (lane == r) mine = total;
  }
  if (lane >= rows) return;
  const float bias = task.bias == nullptr ? 0.0f : task.bias[output];
  float& y = task.y[static_cast<int64_t>(first_row + lane) * task.outputs + output];
  const float value = cuda::Activated(mine + bias, task.activation);
  y = task.add ? y + value : value;
}

bool Aligned(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer) % 16 == 0; }

Task MakeTask(const Projection& p) {
  Task task;
  task.weight = p.weight.data;
  task.dtype = p.weight.dtype;
  task.bias = p.bias.data();
  task.activation = p.activation;
  task.x = p.x.floats();
  task.y = p.y.floats();
  task.add = p.accumulate;
  task.rows = static_cast<int>(p.x.dim(0));
  task.outputs = static_cast<int>(p.weight.rows);
  task.inputs = static_cast<int>(p.weight.cols);
  task.vectors = task.inputs % kVector == 0 && Aligned(task.weight) && Aligned(task.x);
  return task;
}

absl::Status Launch(TaskGroup& group, CudaContext& context) {
  int blocks = 0, rows = 0;
  for (int i = 0; i < group.count; ++i) {
    group.tasks[i].first_block = blocks;
    blocks += (group.tasks[i].outputs + kWarps - 1) / kWarps;
    rows = std::max(rows, group.tasks[i].rows);
  }
  if (blocks == 0 || rows == 0) return absl::OkStatus();
  const int threads = kWarps * cuda::kWarp;
  const auto grid = [&](int tile) { return dim3(blocks, (rows + tile - 1) / tile); };
  if (rows == 1) {
    ProjectKernel<1><<<grid(1), threads, 0, context.stream>>>(group);
  } else if (rows == 2) {
    ProjectKernel<2><<<grid(2), threads, 0, context.stream>>>(group);
  } else if (rows <= 4) {
    ProjectKernel<4><<<grid(4), threads, 0, context.stream>>>(group);
  } else {
    ProjectKernel<8><<<grid(8), threads, 0, context.stream>>>(group);
  }
  return LaunchStatus("project");
}

}  // namespace

absl::Status ProjectCuda(std::span<const Projection> projections, CudaContext& context) {
  TaskGroup group;
  for (const Projection& p : projections) {
    group.tasks[group.count++] = MakeTask(p);
    if (group.count == kMaxTasks) {
      RETURN_IF_ERROR(Launch(group, context));
      group.count = 0;
    }
  }
  return Launch(group, context);
}

}  // namespace skein
