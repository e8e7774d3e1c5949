// How a block of the kernel for few rows gets its weights: a ring of lines in shared memory that
// one thread keeps full, from before the kernel ahead has ended.
//
// Blocks own most outputs from the start, the same number each. Multiprocessors do not get the same
// share of the memory's speed, so the last outputs of each problem are a pool, from which whoever
// is ready takes the next tile. Who computes an output does not change it.
#pragma once

#include <cstdint>

#include "kernels/cuda/launch.h"
#include "kernels/linear/gemv_call.h"
#include "kernels/cuda/stream.cuh"

namespace skein::cuda {

inline constexpr int kMaxStages = 64;

// How rows of weights are read: by all threads at once, in several passes over a batch of them, or
// in turns with rows of the gate.
enum class Form { kOnePass, kPasses, kGated };

// What the lines from a place of the ring on are for.
struct Batch {
  int problem = 0;
  int output = 0;
  int outputs = 0;  // none: the end
};

// A line is what all threads read at once, 16 bytes each. For every line a barrier that ends when
// it is full, one that ends when all warps have read it, and the batch that begins with it.
struct Ring {
  uint32_t lines;
  uint32_t line_bytes;
  uint32_t barriers;
  Batch* batches;
  int stages;

  __device__ uint32_t full(int i) const { return barriers + i * 16; }
  __device__ uint32_t empty(int i) const { return barriers + i * 16 + 8; }
  __device__ uint32_t line(int i) const { return lines + i * line_bytes; }
};

// A place in the ring, and whether its user has come round an odd number of times.
struct Place {
  int index = 0;
  uint32_t parity = 0;

  __device__ void Advance(const Ring& ring) {
    if (++index == ring.stages) index = 0, parity ^= 1;
  }
};

// The thread that fills the ring.
template <Form kForm>
class Producer {
 public:
  __device__ Producer(const GemvCall& call, const Ring& ring, int passes, int batch)
      : call_(call), ring_(ring), passes_(passes), batch_(batch), policy_(EvictFirst()) {
    place_.parity = 1;  // an empty ring need not be waited for
  }

  // The first problem and output of the block.
  __device__ Batch First() const {
    Batch at;
    at.output = Share(blockIdx.x);
    while (at.output >= Owned(at.problem)) at.output -= Owned(at.problem++);
    return at;
  }

  __device__ void Run() {
    Batch at = First();
    int left = Share(blockIdx.x + 1) - Share(blockIdx.x);
    while (left > 0) {
      if (at.output == Owned(at.problem)) ++at.problem, at.output = 0;
      at.outputs = min(min(batch_, left), Owned(at.problem) - at.output);
      if (at.outputs > 0) Copy(at);
      at.output += at.outputs;
      left -= at.outputs;
    }
    if (call_.tile > 0) {
      DependencyWait();  // the counters may be the last kernel's
      for (int tried = 0; tried < call_.num_problems; ++tried) {
        Drain(at.problem);
        if (++at.problem == call_.num_problems) at.problem = 0;
      }
    }
    BarrierWait(ring_.empty(place_.index), place_.parity);
    ring_.batches[place_.index] = Batch();
    BarrierArrive(ring_.full(place_.index));
  }

 private:
  __device__ int Share(int block) const {
    return static_cast<int>(static_cast<int64_t>(call_.owned) * block / gridDim.x);
  }
  __device__ int Owned(int problem) const {
    return call_.problems[problem].outputs - call_.problems[problem].pooled;
  }

  // Every block asks once more than it gets tiles, and asks ahead by one. So it is known how often
  // all of them ask, and who asks last leaves the counter at zero.
  __device__ void Drain(int problem) {
    const int pooled = call_.problems[problem].pooled;
    if (pooled == 0) return;
    const uint32_t tiles = (pooled + call_.tile - 1) / call_.tile;
    uint32_t* taken = call_.counters + 1 + problem;
    uint32_t tile = atomicAdd(taken, 1u), next = atomicAdd(taken, 1u);
    for (; tile < tiles; tile = next, next = atomicAdd(taken, 1u)) {
      int first = static_cast<int>(tile) * call_.tile;
      const int end = min(first + call_.tile, pooled);
      for (; first < end; first += batch_) {
        Copy({problem, Owned(problem) + first, min(batch_, end - first)});
      }
    }
    if (next == tiles + 2 * gridDim.x - 1) *taken = 0;
  }

  __device__ void Copy(const Batch& batch) {
    const GemvProblem& p = call_.problems[batch.problem];
    const int64_t bytes = static_cast<int64_t>(passes_) * ring_.line_bytes;  // of a row
    const char* weight = static_cast<const char*>(p.weight) + batch.output * bytes;
    const char* gate = static_cast<const char*>(p.gate) + batch.output * bytes;
    for (int pass = 0; pass < passes_; ++pass) {
      for (int i = 0; i < batch.outputs; ++i) {
        const int64_t at = i * bytes + static_cast<int64_t>(pass) * ring_.line_bytes;
        const bool first = pass == 0 && i == 0;
        if (kForm == Form::kGated) CopyLine(gate + at, first, batch);
        CopyLine(weight + at, kForm != Form::kGated && first, batch);
      }
    }
  }

  __device__ void CopyLine(const char* from, bool first, const Batch& batch) {
    BarrierWait(ring_.empty(place_.index), place_.parity);
    if (first) ring_.batches[place_.index] = batch;
    CopyBulk(ring_.line(place_.index), from, ring_.line_bytes, ring_.full(place_.index), policy_);
    place_.Advance(ring_);
  }

  const GemvCall& call_;
  const Ring& ring_;
  const int passes_, batch_;
  const uint64_t policy_;
  Place place_;
};

}  // namespace skein::cuda
