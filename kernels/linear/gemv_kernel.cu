// Products of one to four rows: gemv_stream.cuh brings the weights, gemv_input.cuh makes the
// inputs, which every thread keeps its part of in registers.
//
// Order of a sum: a thread's products ascending, pass by pass, then a tree over the lanes of a
// warp, then the warps ascending. It is the same for any number of rows.
#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.cuh"
#include "kernels/linear/gemv_call.h"
#include "kernels/linear/gemv_input.cuh"
#include "kernels/linear/gemv_stream.cuh"
#include "kernels/cuda/stream.cuh"

namespace skein::cuda {
namespace {

// Rows of weights whose sums are reduced together.
template <int kRows>
constexpr int kBatch = kRows == 1 ? 16 : 8;

struct Scratch {
  float partial[2][kMaxWarps][kWarp];
  float sums[2][kMaxGemvRows][kMaxWarps];
  uint64_t barriers[2 * kMaxStages];
  Batch batches[kMaxStages];
  int last_reader;
};

// One output of one row: the value that a lane of the finishing warp brings to its end. `index` is
// its place in the batch.
template <typename W, int kRows, Form kForm>
struct Result {
  const GemvProblem& p;
  int output, row;
  bool exists;
  float before = 0, bias = 0;

  __device__ Result(const GemvCall& call, const Batch& batch, bool finishes, int index)
      : p(call.problems[batch.problem]) {
    const int line = index / kRows;  // of weights
    const int at = kForm == Form::kGated ? line / 2 : line;
    output = batch.output + at;
    row = index % kRows;
    exists = finishes && at < batch.outputs && row < call.rows &&
             !(kForm == Form::kGated && line % 2 != 0);
    if (!exists) return;
    if (p.accumulate) before = __ldcg(static_cast<const float*>(p.y) + At());
    if (p.bias != nullptr) bias = p.bias[output];
  }
  __device__ int64_t At() const { return static_cast<int64_t>(row) * p.outputs + output; }
  // All lanes: `sum` of theirs. The lanes of a gate find their output kRows lanes on.
  __device__ void Store(float sum) const {
    float y;
    if (kForm == Form::kGated) {
      const float up = __shfl_xor_sync(~0u, sum, kRows);
      y = sum / (1.0f + expf(-sum)) * up;
    } else {
      y = Activated(sum + bias, p.activation);
    }
    if (!exists) return;
    if (!p.y_is_fp32) {
      static_cast<W*>(p.y)[At()] = Narrow<W>(y);
    } else {
      static_cast<float*>(p.y)[At()] = p.accumulate ? before + y : y;
    }
  }
};

// All threads that multiply.
template <typename W, int kRows, Form kForm>
class Consumer {
 public:
  __device__ Consumer(const GemvCall& call, const Ring& ring, int passes,
                      const KeptRows<W, kRows>& kept, Scratch& scratch)
      : call_(call), ring_(ring), passes_(passes), kept_(kept), scratch_(scratch) {}

  __device__ void Run() {
    bool saves = call_.norm.shift != nullptr;
    int problem = -1;
    for (int turn = 0;; ++turn) {
      BarrierWait(ring_.full(place_.index), place_.parity);
      const Batch batch = ring_.batches[place_.index];
      if (batch.outputs == 0) break;
      if (batch.problem != problem) {
        problem = batch.problem;
        const GemvProblem& p = call_.problems[problem];
        if (call_.norm.x != nullptr) {
          kept_.MakeInputs(p.mix, inputs_);
        } else if (kForm != Form::kPasses) {
          inputs_.LoadPlain(call_, p, threadIdx.x * kVector);
        }
      }
      // All threads have read the state before the first turn has ended.
      if (turn == 1 && saves) CountReader();
      Multiply(batch, turn);
      if (turn == 1 && saves) {
        if (scratch_.last_reader != 0) kept_.SaveShift();
        saves = false;
      }
    }
    if (!saves) return;
    SyncFirst(call_.threads);
    CountReader();
    SyncFirst(call_.threads);
    if (scratch_.last_reader != 0) kept_.SaveShift();
  }

 private:
  __device__ void Multiply(const Batch& batch, int turn) {
    constexpr int kValues = kBatch<kRows> * kRows;
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int warps = call_.threads / kWarp;
    const bool finishes = turn % warps == warp;
    const Result<W, kRows, kForm> result(call_, batch, finishes, lane);
    float sums[kValues] = {};
#pragma unroll 1
    for (int pass = 0; pass < passes_; ++pass) {
      if (kForm == Form::kPasses) {
        inputs_.LoadPlain(call_, call_.problems[batch.problem],
                          (pass * call_.threads + threadIdx.x) * kVector);
      }
#pragma unroll
      for (int r = 0; r < kBatch<kRows>; ++r) {
        if ((kForm == Form::kGated ? r / 2 : r) >= batch.outputs) continue;
        float w[kVector];
        NextWeights(w);
#pragma unroll
        for (int m = 0; m < kRows; ++m) {
#pragma unroll
          for (int i = 0; i < kVector; ++i) {
            sums[r * kRows + m] = fmaf(w[i], inputs_.x[m][i], sums[r * kRows + m]);
          }
        }
      }
    }
    const float sum = ReduceOverLanes(sums);
    float(&partial)[kMaxWarps][kWarp] = scratch_.partial[turn % 2];
    if (lane % (kWarp / kValues) == 0) partial[warp][lane / (kWarp / kValues)] = sum;
    SyncFirst(call_.threads);
    if (!finishes) return;
    float total = 0;
    for (int w = 0; lane < kValues && w < warps; ++w) total += partial[w][lane];
    result.Store(total);
  }

  __device__ void NextWeights(float (&w)[kVector]) {
    BarrierWait(ring_.full(place_.index), place_.parity);
    Unpack<W>(LoadShared(ring_.line(place_.index) + threadIdx.x * sizeof(uint4)), w);
    __syncwarp();
    if (threadIdx.x % kWarp == 0) BarrierArrive(ring_.empty(place_.index));
    place_.Advance(ring_);
  }

  // The last block to have read the state writes it.
  __device__ void CountReader() {
    if (threadIdx.x != 0) return;
    __threadfence();
    scratch_.last_reader = atomicAdd(call_.counters, 1u) == gridDim.x - 1;
    if (scratch_.last_reader != 0) *call_.counters = 0;
  }

  const GemvCall& call_;
  const Ring& ring_;
  const int passes_;
  const KeptRows<W, kRows>& kept_;
  Scratch& scratch_;
  Inputs<W, kRows> inputs_ = {};
  Place place_;
};

template <typename W, int kRows, Form kForm>
__global__ void __launch_bounds__(kMaxThreads + kWarp, 1)
    GemvKernel(const __grid_constant__ GemvCall call) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  extern __shared__ uint4 memory[];
  __shared__ Scratch scratch;
  const int passes = kForm == Form::kPasses ? call.inputs / (call.threads * kVector) : 1;
  const Ring ring = {SharedAddress(memory), static_cast<uint32_t>(call.threads * sizeof(uint4)),
                     SharedAddress(scratch.barriers), scratch.batches, call.stages};
  if (threadIdx.x == 0) {
    for (int i = 0; i < call.stages; ++i) {
      BarrierInit(ring.full(i), 1);
      BarrierInit(ring.empty(i), call.threads / kWarp);
    }
    BarrierInitFence();
  }
  __syncthreads();
  if (threadIdx.x >= call.threads) {
    constexpr int kOutputs = kForm == Form::kGated ? kBatch<kRows> / 2 : kBatch<kRows>;
    if (threadIdx.x == call.threads) Producer<kForm>(call, ring, passes, kOutputs).Run();
    return;
  }
  const KeptRows<W, kRows> kept(call,
                                reinterpret_cast<float*>(memory + call.stages * call.threads));
  if (call.norm.x == nullptr) {
    DependencyWait();
    ReleaseDependents();
  } else {
    const NormParameters<kRows> parameters(call);
    DependencyWait();
    ReleaseDependents();
    NormRows(call, parameters, scratch.sums, kept);
  }
  Consumer<W, kRows, kForm>(call, ring, passes, kept, scratch).Run();
#endif
}

struct Cut {
  int threads = 0, passes = 0;
};
// Threads of a block and passes over them that make up a row; none if there is no good cut.
Cut CutInputs(int64_t inputs) {
  const int64_t warps = inputs / (kVector * kWarp);
  if (inputs % (kVector * kWarp) != 0) return {};
  for (int passes = 1; passes <= 16; ++passes) {
    if (warps % passes == 0 && warps / passes <= kMaxWarps) {
      return {static_cast<int>(warps / passes) * kWarp, passes};
    }
  }
  return {};
}

// Shared memory of a block: what it can have, and the ring's share. A block has a multiprocessor
// for itself, as two of them on one would leave others without.
constexpr int kSharedBytes = 220 << 10;
constexpr int kLongThreads = 320, kLongRing = 112 << 10, kShortRing = 56 << 10;

constexpr int kPoolShare = 6;  // of the outputs of large problems, where blocks have many of them
constexpr int kPoolTile = 8;

void CutOutputs(const CudaContext& context, GemvCall& call, unsigned& blocks) {
  int outputs = 0;
  for (int i = 0; i < call.num_problems; ++i) outputs += call.problems[i].outputs;
  blocks = static_cast<unsigned>(std::min(outputs, context.sm_count));
  call.tile = outputs >= 8 * kPoolTile * context.sm_count ? kPoolTile : 0;
  call.owned = 0;
  for (int i = 0; i < call.num_problems; ++i) {
    GemvProblem& p = call.problems[i];
    const bool pools = call.tile > 0 && p.outputs >= kPoolTile * context.sm_count;
    p.pooled = pools ? p.outputs / kPoolShare / kPoolTile * kPoolTile : 0;
    call.owned += p.outputs - p.pooled;
  }
}

template <typename W, int kRows>
absl::Status LaunchRows(GemvCall call, const CudaContext& context) {
  unsigned blocks = 0;
  CutOutputs(context, call, blocks);
  if (blocks == 0) return absl::OkStatus();
  if (context.num_counters < kGemvCounters) {
    return absl::InternalError(
        absl::StrCat("gemv: ", context.num_counters, " counters, expected ", kGemvCounters));
  }
  const Cut cut = CutInputs(call.inputs);
  call.threads = cut.threads;
  call.counters = context.counters;
  const int line_bytes = cut.threads * static_cast<int>(sizeof(uint4));
  const int kept = call.norm.x == nullptr ? 0 : kRows * 4 * line_bytes;
  const int ring = cut.threads >= kLongThreads ? kLongRing : kShortRing;
  call.stages = std::min(std::min(ring, kSharedBytes - kept) / line_bytes, kMaxStages);
  const LaunchShape shape = {blocks, static_cast<unsigned>(cut.threads + kWarp),
                             static_cast<size_t>(kept + call.stages * line_bytes)};
  if (call.problems[0].gate != nullptr) {
    return Launch(context, "gemv", GemvKernel<W, kRows, Form::kGated>, shape, call);
  }
  if (cut.passes > 1) {
    return Launch(context, "gemv", GemvKernel<W, kRows, Form::kPasses>, shape, call);
  }
  return Launch(context, "gemv", GemvKernel<W, kRows, Form::kOnePass>, shape, call);
}

template <typename W>
absl::Status LaunchTyped(const GemvCall& call, const CudaContext& context) {
  if (call.rows == 1) return LaunchRows<W, 1>(call, context);
  if (call.rows == 2) return LaunchRows<W, 2>(call, context);
  return LaunchRows<W, 4>(call, context);
}

}  // namespace

bool GemvTakesInputs(int64_t inputs, bool one_pass) {
  const Cut cut = CutInputs(inputs);
  return cut.passes == 1 || (cut.passes > 1 && !one_pass);
}

absl::Status LaunchGemv(GemvCall call, DType weight_type, const CudaContext& context) {
  if (call.rows == 0) return absl::OkStatus();
  if (weight_type == DType::kF16) return LaunchTyped<__half>(call, context);
  return LaunchTyped<__nv_bfloat16>(call, context);
}

}  // namespace skein::cuda
