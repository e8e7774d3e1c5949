// Random arguments for operations, and the two properties that every CPU body has: close to its
// reference, and the same bits on every instruction set and number of threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"

#include "common/tensor/dtype.h"
#include "common/tensor/tensor_view.h"
#include "kernels/cpu/isa.h"
#include "kernels/device/activation_view.h"
#include "kernels/device/cuda_context.h"
#include "kernels/device/parallel_for.h"
#include "kernels/device/sequences.h"
#include "kernels/linear/weight_matrix.h"

namespace skein {

// Memory that lives as long as the pointer.
using Allocate = std::function<std::shared_ptr<void>(size_t bytes)>;
std::shared_ptr<void> HostAllocate(size_t bytes);

// Owns what the views that it hands out show. The same seed gives the same values.
class TestTensors {
 public:
  // What products read and write is rounded to `operand`, and stored as `stored`: the same values
  // for a reference in fp32 and for a CUDA body.
  explicit TestTensors(uint32_t seed, Allocate allocate = HostAllocate, DType operand = DType::kF32,
                       DType stored = DType::kF32)
      : random_(seed), allocate_(std::move(allocate)), operand_(operand), stored_(stored) {}

  TensorView<float> Random(const Shape& shape, float low = -1.0f, float high = 1.0f);
  // Poisoned with NaN, so that reading before writing shows.
  TensorView<float> Output(const Shape& shape);
  // The same as activations in the operand type.
  ActivationView RandomOperand(const Shape& shape, float low = -1.0f, float high = 1.0f);
  ActivationView OutputOperand(const Shape& shape);
  TensorView<const int32_t> Ints(const std::vector<int32_t>& values);
  // Values of about 1 / sqrt(cols), rounded to `dtype`.
  WeightMatrix Matrix(int64_t rows, int64_t cols, DType dtype);
  // Sequences of these lengths, in slots that are neither adjacent nor in order.
  SequenceRows Sequences(const std::vector<int32_t>& lengths);
  // Of the tokens of every row: sequence s begins at 100 s.
  TensorView<const int32_t> Positions(const SequenceRows& sequences);
  // One field of `elements` in records with room between them, for those slots.
  StateTensor State(const SequenceRows& sequences, int64_t elements);
  // The same, stored in the operand type.
  StateTensor RoundedState(const SequenceRows& sequences, int64_t elements);
  // All slots of it, as one tensor.
  TensorView<float> All(const StateTensor& state) const;

 private:
  struct Buffer {
    std::shared_ptr<void> data;
    int64_t elements = 0;
  };
  template <typename T>
  T* New(int64_t elements);

  std::mt19937 random_;
  Allocate allocate_;
  std::vector<Buffer> buffers_;
  DType operand_, stored_;
};

using Outputs = std::vector<ConstActivationView>;

// One slot of a state, in host memory or pinned.
ConstActivationView SlotView(const StateTensor& state, int64_t slot, int64_t elements);
// Everything in `outputs` as fp32, one behind the other.
std::vector<float> Collect(const Outputs& outputs);
// The largest |found - expected| relative to max(1, largest |expected|).
double WorstError(const std::vector<float>& found, const std::vector<float>& expected);
bool SameBits(const std::vector<float>& a, const std::vector<float>& b);

// `make` builds arguments from a TestTensors; `outputs` lists what the operation writes.
template <typename Args>
void ExpectNearReference(const std::function<Args(TestTensors&)>& make,
                         void (*cpu)(const Args&, ParallelFor&), void (*reference)(const Args&),
                         const std::function<Outputs(const Args&)>& outputs, double tolerance) {
  ParallelFor threads(2);
  TestTensors tensors(1), reference_tensors(1);
  const Args args = make(tensors);
  const Args reference_args = make(reference_tensors);
  ASSERT_TRUE(args.Validate().ok()) << args.Validate();
  cpu(args, threads);
  reference(reference_args);
  EXPECT_LE(WorstError(Collect(outputs(args)), Collect(outputs(reference_args))), tolerance);
}

template <typename Args>
void ExpectSameBitsEverywhere(const std::function<Args(TestTensors&)>& make,
                              void (*cpu)(const Args&, ParallelFor&),
                              const std::function<Outputs(const Args&)>& outputs) {
  std::vector<float> first;
  for (const Isa isa : SupportedIsas()) {
    for (const int num_threads : {1, 3}) {
      SCOPED_TRACE(std::string(IsaName(isa)) + ", threads " + std::to_string(num_threads));
      const ScopedIsa scope(isa);
      ParallelFor threads(num_threads);
      TestTensors tensors(1);
      const Args args = make(tensors);
      cpu(args, threads);
      const std::vector<float> found = Collect(outputs(args));
      if (first.empty()) first = found;
      EXPECT_TRUE(SameBits(found, first));
    }
  }
}

#if SKEIN_CUDA
#define SKEIN_CUDA_ONLY(...) __VA_ARGS__

// False where there is no GPU: what needs one passes without being run, unless the environment has
// SKEIN_REQUIRE_GPU, which makes that a failure.
bool HasGpu();
// Host memory that the GPU reads and writes in place.
std::shared_ptr<void> PinnedAllocate(size_t bytes);
absl::Status Synchronize();
// On the default stream, with workspace and counters of its own.
CudaContext& TestCudaContext();

// The CUDA body with operands of this type against the reference; twice, which must give the same
// bits.
template <typename Args>
void ExpectNearReferenceOnCuda(const std::function<Args(TestTensors&)>& make,
                               absl::Status (*cuda)(const Args&, CudaContext&),
                               void (*reference)(const Args&),
                               const std::function<Outputs(const Args&)>& outputs, double tolerance,
                               DType operand = DType::kF32) {
  if (!HasGpu()) return;
  TestTensors reference_tensors(1, HostAllocate, operand);
  const Args reference_args = make(reference_tensors);
  reference(reference_args);
  std::vector<float> first;
  for (int run = 0; run < 2; ++run) {
    TestTensors tensors(1, PinnedAllocate, operand, operand);
    const Args args = make(tensors);
    ASSERT_TRUE(args.Validate().ok()) << args.Validate();
    const absl::Status launched = cuda(args, TestCudaContext());
    ASSERT_TRUE(launched.ok()) << launched;
    const absl::Status ran = Synchronize();
    ASSERT_TRUE(ran.ok()) << ran;
    const std::vector<float> found = Collect(outputs(args));
    EXPECT_LE(WorstError(found, Collect(outputs(reference_args))), tolerance);
    if (run == 0) first = found;
    EXPECT_TRUE(SameBits(found, first));
  }
}
#else
#define SKEIN_CUDA_ONLY(...)
#endif

}  // namespace skein
