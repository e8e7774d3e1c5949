// Where an operation's work goes: a CUDA stream, or the threads of the CPU backend.
#pragma once

#include "kernels/device/parallel_for.h"

struct CUstream_st;

namespace skein {

// A handle to copy around; what it names must outlive it.
class Stream {
 public:
  explicit Stream(ParallelFor& threads) : threads_(&threads) {}
  explicit Stream(CUstream_st* cuda) : cuda_(cuda) {}

  bool on_cpu() const { return cuda_ == nullptr; }
  ParallelFor& threads() const { return *threads_; }  // on the CPU only
  CUstream_st* cuda() const { return cuda_; }

 private:
  ParallelFor* threads_ = nullptr;
  CUstream_st* cuda_ = nullptr;
};

}  // namespace skein
