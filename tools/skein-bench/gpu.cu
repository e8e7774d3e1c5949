#include <algorithm>
#include <vector>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/device/cuda_error.h"
#include "tools/skein-bench/gpu.h"
#include "tools/skein-bench/timing.h"

namespace skein::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerProcessor = 8;
constexpr int kLoads = 8;

__device__ uint32_t Mixed(uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9ull;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebull;
  return static_cast<uint32_t>(bits >> 32);
}

template <typename T>
__global__ void FillKernel(T* data, int64_t count, float spread, uint64_t seed) {
  cuda::DependencyWait();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const uint32_t bits = Mixed((seed + 1) * 0xda942042e4dd58b5ull + i * 0x9e3779b97f4a7c15ull);
    const float unit = (static_cast<float>(bits >> 8) + 0.5f) * (2.0f / 16777216.0f) - 1.0f;
    data[i] = static_cast<T>(spread * unit);
  }
}

__global__ void ReadKernel(const uint4* data, int64_t count, uint32_t* word) {
  cuda::DependencyWait();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  uint32_t sum = 0;
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kLoads - 1) * stride < count; i += kLoads * stride) {
    uint4 loaded[kLoads];
#pragma unroll
    for (int j = 0; j < kLoads; ++j) loaded[j] = __ldcs(data + i + j * stride);
#pragma unroll
    for (int j = 0; j < kLoads; ++j) {
      sum ^= loaded[j].x ^ loaded[j].y ^ loaded[j].z ^ loaded[j].w;
    }
  }
  for (; i < count; i += stride) sum ^= data[i].x ^ data[i].y ^ data[i].z ^ data[i].w;
  if (sum == 0x5eedf00d) *word = sum;  // almost never, but the compiler cannot know
}

struct Events {
  cudaEvent_t begin = nullptr, end = nullptr;
  ~Events() {
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
  }
};

dim3 Blocks(const CudaContext& context) {
  return dim3(static_cast<unsigned>(context.sm_count * kBlocksPerProcessor));
}

}  // namespace

absl::Status FillRandom(CudaContext& context, void* data, DType dtype, int64_t count, float spread,
                        uint64_t seed) {
  const cuda::LaunchShape shape = {Blocks(context), kThreads};
  switch (dtype) {
    case DType::kF32:
      return cuda::Launch(context, "fill", FillKernel<float>, shape, static_cast<float*>(data),
                          count, spread, seed);
    case DType::kF16:
      return cuda::Launch(context, "fill", FillKernel<__half>, shape, static_cast<__half*>(data),
                          count, spread, seed);
    case DType::kBF16:
      return cuda::Launch(context, "fill", FillKernel<__nv_bfloat16>, shape,
                          static_cast<__nv_bfloat16*>(data), count, spread, seed);
    default:
      return absl::InvalidArgumentError("fill: expected fp32, fp16 or bf16");
  }
}

absl::Status ReadAll(CudaContext& context, const void* data, int64_t bytes, uint32_t* word) {
  return cuda::Launch(context, "read", ReadKernel, {Blocks(context), kThreads},
                      static_cast<const uint4*>(data), bytes / 16, word);
}

absl::StatusOr<double> DeviceSeconds(CudaContext& context, int rounds,
                                     absl::FunctionRef<absl::Status(int round)> enqueue) {
  Events events;
  RETURN_IF_ERROR(CudaStatus("event", cudaEventCreate(&events.begin)));
  RETURN_IF_ERROR(CudaStatus("event", cudaEventCreate(&events.end)));
  std::vector<double> seconds;
  for (int round = -1; round < rounds; ++round) {
    RETURN_IF_ERROR(CudaStatus("event", cudaEventRecord(events.begin, context.stream)));
    RETURN_IF_ERROR(enqueue(std::max(round, 0)));
    RETURN_IF_ERROR(CudaStatus("event", cudaEventRecord(events.end, context.stream)));
    RETURN_IF_ERROR(CudaStatus("measured work", cudaEventSynchronize(events.end)));
    float milliseconds = 0;
    RETURN_IF_ERROR(
        CudaStatus("event", cudaEventElapsedTime(&milliseconds, events.begin, events.end)));
    if (round >= 0) seconds.push_back(milliseconds / 1e3);
  }
  return Median(std::move(seconds));
}

}  // namespace skein::bench
