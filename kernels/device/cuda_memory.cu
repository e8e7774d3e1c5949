#include <algorithm>

#include <cuda_runtime.h>

#include "common/base/status_macros.h"
#include "kernels/device/cuda_error.h"
#include "kernels/device/cuda_memory.h"

namespace skein::cuda {
namespace {

class CudaGraph : public Graph {
 public:
  explicit CudaGraph(cudaGraphExec_t graph) : graph_(graph) {}
  ~CudaGraph() override { cudaGraphExecDestroy(graph_); }
  absl::Status Launch(const Stream& stream) override {
    return CudaStatus("graph", cudaGraphLaunch(graph_, stream.cuda().stream));
  }

 private:
  cudaGraphExec_t graph_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Arena>> CreateDeviceArena(size_t bytes) {
  const size_t size = std::max(Arena::Rounded(bytes), Arena::kAlignment);
  void* data = nullptr;
  RETURN_IF_ERROR(CudaStatus(absl::StrCat(bytes, " bytes of GPU memory"), cudaMalloc(&data, size)));
  return Arena::Own(data, size, [](void* memory, size_t) { cudaFree(memory); });
}

absl::StatusOr<std::unique_ptr<Arena>> CreatePinnedArena(size_t bytes) {
  const size_t size = std::max(Arena::Rounded(bytes), Arena::kAlignment);
  void* data = nullptr;
  RETURN_IF_ERROR(
      CudaStatus(absl::StrCat(bytes, " bytes of pinned memory"), cudaMallocHost(&data, size)));
  return Arena::Own(data, size, [](void* memory, size_t) { cudaFreeHost(memory); });
}

absl::StatusOr<std::unique_ptr<Arena>> Upload(const CudaContext& context, const Arena& host) {
  // A thread that never met the GPU has the first one.
  RETURN_IF_ERROR(CudaStatus("cudaSetDevice", cudaSetDevice(context.device)));
  ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena, CreateDeviceArena(host.bytes()));
  // The model's own stream may be recording a graph just now.
  cudaStream_t stream = nullptr;
  RETURN_IF_ERROR(CudaStatus("stream", cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)));
  cudaError_t error =
      cudaMemcpyAsync(arena->data(), host.data(), host.bytes(), cudaMemcpyHostToDevice, stream);
  const cudaError_t done = cudaStreamSynchronize(stream);
  if (error == cudaSuccess) error = done;
  cudaStreamDestroy(stream);
  RETURN_IF_ERROR(CudaStatus("upload", error));
  return arena;
}

absl::Status Copy(CudaContext& context, void* to, const void* from, size_t bytes) {
  return CudaStatus("copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, context.stream));
}

absl::Status Zero(CudaContext& context, void* to, size_t bytes) {
  return CudaStatus("zero", cudaMemsetAsync(to, 0, bytes, context.stream));
}

absl::Status Synchronize(CudaContext& context) {
  return CudaStatus("GPU", cudaStreamSynchronize(context.stream));
}

absl::StatusOr<std::unique_ptr<Graph>> Capture(CudaContext& context,
                                               absl::FunctionRef<absl::Status()> enqueue) {
  RETURN_IF_ERROR(CudaStatus(
      "capture", cudaStreamBeginCapture(context.stream, cudaStreamCaptureModeThreadLocal)));
  const absl::Status enqueued = enqueue();
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(context.stream, &graph);
  RETURN_IF_ERROR(enqueued);
  RETURN_IF_ERROR(CudaStatus("capture", ended));
  cudaGraphExec_t executable = nullptr;
  const cudaError_t error = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  RETURN_IF_ERROR(CudaStatus("graph", error));
  return std::unique_ptr<Graph>(std::make_unique<CudaGraph>(executable));
}

}  // namespace skein::cuda
