// Where an operation's work goes: to a CUDA stream, or to the threads of the CPU backend.
#pragma once

#include "kernels/device/parallel_for.h"

namespace skein {

struct CudaContext;

// A handle to copy around; what it names must outlive it.
class Stream {
 public:
  // The host without threads: for memory alone.
  Stream() = default;
  explicit Stream(ParallelFor& threads) : threads_(&threads) {}
  explicit Stream(CudaContext& cuda) : cuda_(&cuda) {}

  bool on_cpu() const { return cuda_ == nullptr; }
  ParallelFor& threads() const { return *threads_; }  // on the CPU only
  CudaContext& cuda() const { return *cuda_; }        // on CUDA only

 private:
  ParallelFor* threads_ = nullptr;
  CudaContext* cuda_ = nullptr;
};

}  // namespace skein
