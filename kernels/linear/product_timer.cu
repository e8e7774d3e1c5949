#include <algorithm>
#include <array>
#include <utility>

#include <cuda_runtime.h>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "kernels/cuda/launch.h"
#include "kernels/linear/product_timer.h"

namespace skein {

struct ProductTimer::Device {
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    for (void* memory : allocations) cudaFree(memory);
    if (begin != nullptr) cudaEventDestroy(begin);
    if (end != nullptr) cudaEventDestroy(end);
    if (stream != nullptr) cudaStreamDestroy(stream);
    static_cast<void>(cudaGetLastError());
  }

  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr, end = nullptr;
  std::vector<void*> allocations;
  void* eviction = nullptr;  // kRotatedBytes, or null where the weights are as many
};

struct ProductTimer::Graph {
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (exec != nullptr) cudaGraphExecDestroy(exec);
    if (graph != nullptr) cudaGraphDestroy(graph);
  }

  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
};

namespace {

constexpr int64_t kRotatedBytes = 110 << 20;  // of weights: twice an L2 cache and more
constexpr int64_t kMaxCopies = 24;            // of small weights, with a cache that is emptied
constexpr int kMinRuns = 6;                   // in a graph
constexpr int kRounds = 3;

absl::Status Checked(cudaError_t error) {
  if (error == cudaSuccess) return absl::OkStatus();
  static_cast<void>(cudaGetLastError());
  const std::string message = absl::StrCat("timing products: ", cudaGetErrorString(error));
  return error == cudaErrorMemoryAllocation ? absl::ResourceExhaustedError(message)
                                            : absl::InternalError(message);
}

// Numbers of either sign between `low` and 16 times that: 16-bit floats, whose exponent begins at
// bit `shift`.
__global__ void FillKernel(uint16_t* to, int64_t count, int shift, uint32_t low, uint32_t seed) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    uint32_t h = static_cast<uint32_t>(i) * 0x9e3779b9u + seed;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    h ^= h >> 16;
    const uint32_t sign = h >> 31 << 15, mantissa = h & ((1u << shift) - 1);
    to[i] = static_cast<uint16_t>(sign | (low + (h >> 16 & 3)) << shift | mantissa);
  }
}

void Fill(void* to, int64_t count, DType type, uint32_t seed, cudaStream_t stream) {
  const bool half = type == DType::kF16;
  FillKernel<<<1024, 256, 0, stream>>>(static_cast<uint16_t*>(to), count, half ? 10 : 7,
                                       half ? 15 - 5 : 127 - 5, seed);
}

}  // namespace

ProductTimer::ProductTimer(const CudaContext& context, std::unique_ptr<Device> device)
    : context_(context), device_(std::move(device)) {
  context_.stream = device_->stream;
}

ProductTimer::~ProductTimer() = default;

absl::StatusOr<std::unique_ptr<ProductTimer>> ProductTimer::Create(const ProductGroup& group,
                                                                   const CudaContext& context) {
  auto device = std::make_unique<Device>();
  RETURN_IF_ERROR(Checked(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking)));
  RETURN_IF_ERROR(Checked(cudaEventCreate(&device->begin)));
  RETURN_IF_ERROR(Checked(cudaEventCreate(&device->end)));
  std::unique_ptr<ProductTimer> timer(new ProductTimer(context, std::move(device)));
  RETURN_IF_ERROR(timer->Allocate(group));
  return timer;
}

absl::Status ProductTimer::Allocate(const ProductGroup& group) {
  const auto allocate = [&](int64_t bytes, void** memory) {
    RETURN_IF_ERROR(Checked(cudaMalloc(memory, bytes)));
    device_->allocations.push_back(*memory);
    return absl::OkStatus();
  };
  void *x = nullptr, *y = nullptr, *weights = nullptr, *bias = nullptr;
  const int64_t weight_elements = group.weights();
  int64_t x_elements = 0;
  for (const ProductShape& shape : group.shapes()) x_elements += group.rows * shape.inputs;
  const int64_t to_rotate = (kRotatedBytes + 2 * weight_elements - 1) / (2 * weight_elements);
  const int64_t copies = std::min(to_rotate, kMaxCopies);
  if (copies < to_rotate) RETURN_IF_ERROR(allocate(kRotatedBytes, &device_->eviction));
  RETURN_IF_ERROR(allocate(x_elements * 2, &x));
  RETURN_IF_ERROR(allocate(group.rows * group.outputs() * 4, &y));
  RETURN_IF_ERROR(allocate(weight_elements * copies * 2, &weights));
  RETURN_IF_ERROR(allocate(group.outputs() * 4, &bias));
  Fill(x, x_elements, group.operand, 1, device_->stream);
  Fill(weights, weight_elements * copies, group.operand, 2, device_->stream);
  RETURN_IF_ERROR(Checked(cudaMemsetAsync(bias, 0, group.outputs() * 4, device_->stream)));
  RETURN_IF_ERROR(
      Checked(cudaMemsetAsync(y, 0, group.rows * group.outputs() * 4, device_->stream)));
  for (int64_t copy = 0; copy < copies; ++copy) {
    std::vector<ProductOperands>& operands = copies_.emplace_back();
    const auto* next_x = static_cast<const uint16_t*>(x);
    const auto* next_weight = static_cast<const uint16_t*>(weights) + copy * weight_elements;
    const auto* next_bias = static_cast<const float*>(bias);
    auto* next_y = static_cast<float*>(y);
    for (const ProductShape& shape : group.shapes()) {
      operands.push_back({next_weight, next_x, shape.bias ? next_bias : nullptr, next_y});
      next_x += group.rows * shape.inputs;
      next_weight += shape.inputs * shape.outputs;
      next_bias += shape.outputs;
      next_y += group.rows * shape.outputs;
    }
  }
  return Checked(cudaStreamSynchronize(device_->stream));
}

absl::Status ProductTimer::Capture(const Enqueue& enqueue, int runs, Graph& graph) {
  RETURN_IF_ERROR(Checked(cudaStreamBeginCapture(device_->stream, cudaStreamCaptureModeRelaxed)));
  absl::Status enqueued;
  for (int i = 0; i < runs; ++i) {
    enqueued.Update(enqueue(copies_[i % copies_.size()], context_));
  }
  const absl::Status captured = Checked(cudaStreamEndCapture(device_->stream, &graph.graph));
  RETURN_IF_ERROR(enqueued);
  RETURN_IF_ERROR(captured);
  return Checked(cudaGraphInstantiate(&graph.exec, graph.graph, 0));
}

absl::StatusOr<double> ProductTimer::TimeGraph(const Enqueue& enqueue, int runs) {
  Graph graph;
  RETURN_IF_ERROR(Capture(enqueue, runs, graph));
  std::array<float, kRounds + 1> times = {};
  for (float& time : times) {
    if (device_->eviction != nullptr) {
      RETURN_IF_ERROR(
          Checked(cudaMemsetAsync(device_->eviction, 0, kRotatedBytes, device_->stream)));
    }
    RETURN_IF_ERROR(Checked(cudaEventRecord(device_->begin, device_->stream)));
    RETURN_IF_ERROR(Checked(cudaGraphLaunch(graph.exec, device_->stream)));
    RETURN_IF_ERROR(Checked(cudaEventRecord(device_->end, device_->stream)));
    RETURN_IF_ERROR(Checked(cudaStreamSynchronize(device_->stream)));
    RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&time, device_->begin, device_->end)));
  }
  std::sort(times.begin() + 1, times.end());  // the first was to warm up
  return times[1 + kRounds / 2] * 1e3 / runs;
}

absl::StatusOr<double> ProductTimer::Time(const Enqueue& enqueue, double limit_us) {
  // Once outside a graph: kernels are loaded, descriptors made.
  RETURN_IF_ERROR(enqueue(copies_[0], context_));
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->begin, device_->stream)));
  RETURN_IF_ERROR(enqueue(copies_[copies_.size() / 2], context_));
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->end, device_->stream)));
  RETURN_IF_ERROR(Checked(cudaStreamSynchronize(device_->stream)));
  float first_ms = 0;
  RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&first_ms, device_->begin, device_->end)));
  if (first_ms * 1e3 > limit_us) return first_ms * 1e3;
  const int copies = static_cast<int>(copies_.size());
  return TimeGraph(enqueue, (kMinRuns + copies - 1) / copies * copies);
}

}  // namespace skein
