#include <algorithm>
#include <limits>
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
  void* sink = nullptr;
  std::vector<void*> allocations;
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
constexpr int64_t kMinCopies = 2, kMaxCopies = 16;
constexpr int kRounds = 3, kFinalRounds = 8;
constexpr double kClose = 1.06;   // to the fastest after the first rounds: goes on to the last ones
constexpr double kGraphUs = 300;  // of runs in a graph, if the copies allow
// A first run that takes so much longer than the best is hopeless, and beyond that so many us.
constexpr double kHopeless = 1.3;
constexpr double kLaunchUs = 5;
constexpr double kNever = std::numeric_limits<double>::infinity();

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

// Reads `count` vectors.
__global__ void ReadKernel(const uint4* from, int64_t count, uint32_t* sink) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  uint32_t bits = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    const uint4 v = from[i];
    bits |= v.x | v.y | v.z | v.w;
  }
  if (bits == 1) *sink = bits;  // never: to the compiler a use
}

double Median(std::vector<double> times) {
  if (times.empty()) return kNever;
  const auto middle = times.begin() + static_cast<int64_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
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
  RETURN_IF_ERROR(allocate(sizeof(uint32_t), &device_->sink));
  const int64_t weight_elements = group.weights();
  int64_t x_elements = 0;
  for (const ProductShape& shape : group.shapes()) x_elements += group.rows * shape.inputs;
  const int64_t copies = std::clamp(
      (kRotatedBytes + 2 * weight_elements - 1) / (2 * weight_elements), kMinCopies, kMaxCopies);
  const int64_t weight_bytes = 2 * weight_elements * copies;
  const int64_t rotated = std::max(weight_bytes, kRotatedBytes);
  RETURN_IF_ERROR(allocate(x_elements * 2, &x));
  RETURN_IF_ERROR(allocate(group.rows * group.outputs() * 4, &y));
  RETURN_IF_ERROR(allocate(rotated, &weights));
  RETURN_IF_ERROR(allocate(group.outputs() * 4, &bias));
  Fill(x, x_elements, group.operand, 1, device_->stream);
  Fill(weights, rotated / 2, group.operand, 2, device_->stream);
  behind_ = static_cast<const char*>(weights) + weight_bytes;
  bytes_behind_ = rotated - weight_bytes;
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

void ProductTimer::ClearCache() {
  const int64_t vectors = bytes_behind_ / int64_t{sizeof(uint4)};
  if (vectors == 0) return;
  ReadKernel<<<1024, 256, 0, device_->stream>>>(static_cast<const uint4*>(behind_), vectors,
                                                static_cast<uint32_t*>(device_->sink));
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
  RETURN_IF_ERROR(Checked(cudaGraphInstantiate(&graph.exec, graph.graph, 0)));
  return Checked(cudaGraphUpload(graph.exec, device_->stream));
}

absl::StatusOr<double> ProductTimer::TimeGraph(const Graph& graph, int runs) {
  ClearCache();
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->begin, device_->stream)));
  RETURN_IF_ERROR(Checked(cudaGraphLaunch(graph.exec, device_->stream)));
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->end, device_->stream)));
  RETURN_IF_ERROR(Checked(cudaStreamSynchronize(device_->stream)));
  float ms = 0;
  RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&ms, device_->begin, device_->end)));
  return ms * 1e3 / runs;
}

// Of the second run: the first loads kernels and makes descriptors.
absl::StatusOr<double> ProductTimer::TimeOnce(const Enqueue& enqueue) {
  RETURN_IF_ERROR(enqueue(copies_[0], context_));
  ClearCache();
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->begin, device_->stream)));
  RETURN_IF_ERROR(enqueue(copies_[1], context_));
  RETURN_IF_ERROR(Checked(cudaEventRecord(device_->end, device_->stream)));
  RETURN_IF_ERROR(Checked(cudaStreamSynchronize(device_->stream)));
  float ms = 0;
  RETURN_IF_ERROR(Checked(cudaEventElapsedTime(&ms, device_->begin, device_->end)));
  return ms * 1e3;
}

absl::Status ProductTimer::TimeInTurns(const std::vector<std::unique_ptr<Graph>>& graphs, int runs,
                                       int rounds, std::vector<std::vector<double>>& times) {
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < graphs.size(); ++i) {
      if (graphs[i] == nullptr) continue;
      ASSIGN_OR_RETURN(times[i].emplace_back(), TimeGraph(*graphs[i], runs));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<double>> ProductTimer::Compare(std::span<const Enqueue> ways) {
  std::vector<double> first(ways.size(), kNever);
  for (size_t i = 0; i < ways.size(); ++i) {
    const absl::StatusOr<double> us = TimeOnce(ways[i]);
    if (absl::IsInternal(us.status())) return us.status();
    if (us.ok()) first[i] = *us;
  }
  std::vector<double> result(ways.size(), kNever);
  const auto best = std::min_element(first.begin(), first.end());
  if (best == first.end() || *best == kNever) return result;
  const int runs = static_cast<int>(std::clamp(kGraphUs / *best, static_cast<double>(kMinCopies),
                                               static_cast<double>(copies_.size())));
  std::vector<std::unique_ptr<Graph>> graphs(ways.size());
  for (size_t i = 0; i < ways.size(); ++i) {
    if (first[i] > kHopeless * *best + kLaunchUs) continue;
    graphs[i] = std::make_unique<Graph>();
    RETURN_IF_ERROR(Capture(ways[i], runs, *graphs[i]));
  }
  std::vector<std::vector<double>> times(ways.size());
  RETURN_IF_ERROR(TimeInTurns(graphs, runs, kRounds, times));
  double fastest = kNever;
  for (const std::vector<double>& of_way : times) fastest = std::min(fastest, Median(of_way));
  int close = 0;
  for (size_t i = 0; i < ways.size(); ++i) {
    if (Median(times[i]) > kClose * fastest) graphs[i] = nullptr;
    close += graphs[i] != nullptr;
  }
  if (close > 1) RETURN_IF_ERROR(TimeInTurns(graphs, runs, kFinalRounds, times));
  std::transform(times.begin(), times.end(), result.begin(), Median);
  return result;
}

}  // namespace skein
