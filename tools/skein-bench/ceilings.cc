#include "tools/skein-bench/ceilings.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "common/base/status_macros.h"
#include "kernels/device/arena.h"
#include "kernels/linear/linear.h"
#include "tools/random_model/weights.h"
#include "tools/skein-bench/timing.h"

namespace skein::bench {
namespace {

constexpr int64_t kBytes = int64_t{1} << 28;  // beyond the caches of most machines
constexpr int64_t kPieces = 512;
constexpr int kRounds = 5;
constexpr int64_t kProductRows = 256, kProductWidth = 1024;

// The best of some rounds: other programs only make it slower.
template <typename F>
double BestSeconds(F work) {
  double best = 1e30;
  for (int i = 0; i < kRounds; ++i) {
    const double begin = Now();
    work();
    best = std::min(best, Now() - begin);
  }
  return best;
}

using Words = uint64_t __attribute__((vector_size(64)));

// Reads a piece with fetches ahead: without them this loop, not the memory, is the limit.
uint64_t SumOf(const Words* words, int64_t count) {
  constexpr int64_t kAhead = 64;
  Words sum[4] = {};
  for (int64_t i = 0; i < count; i += 4) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      __builtin_prefetch(words + i + j + kAhead);
      sum[j] += words[i + j];
    }
  }
  const Words all = sum[0] + sum[1] + sum[2] + sum[3];
  uint64_t total = 0;
  for (int j = 0; j < 8; ++j) total += all[j];
  return total;
}

absl::Status MeasureMemory(ParallelFor& threads, MeasuredCeilings& out) {
  constexpr int64_t kPieceBytes = kBytes / kPieces;
  constexpr int64_t kPieceWords = kPieceBytes / static_cast<int64_t>(sizeof(Words));
  ASSIGN_OR_RETURN(const auto arena, Arena::Create(2 * kBytes));
  ASSIGN_OR_RETURN(void* const from, arena->Allocate(kBytes));
  ASSIGN_OR_RETURN(void* const to, arena->Allocate(kBytes));
  std::byte* const source = static_cast<std::byte*>(from);
  std::byte* const target = static_cast<std::byte*>(to);
  std::vector<uint64_t> sums(kPieces);
  threads.Run(kPieces, 1, [&](int64_t begin, int64_t end) {
    std::memset(source + begin * kPieceBytes, 1, (end - begin) * kPieceBytes);
    std::memset(target + begin * kPieceBytes, 2, (end - begin) * kPieceBytes);
  });
  const double read = BestSeconds([&] {
    threads.Run(kPieces, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        sums[i] = SumOf(reinterpret_cast<const Words*>(source) + i * kPieceWords, kPieceWords);
      }
    });
  });
  const double copy = BestSeconds([&] {
    threads.Run(kPieces, 1, [&](int64_t begin, int64_t end) {
      std::memcpy(target + begin * kPieceBytes, source + begin * kPieceBytes,
                  (end - begin) * kPieceBytes);
    });
  });
  out.read_bytes_per_second = kBytes / read;
  out.copy_bytes_per_second = 2 * kBytes / copy;
  return absl::OkStatus();
}

std::vector<std::byte> RandomMatrix(const char* name, int64_t rows, DType dtype) {
  const random_model::PlannedTensor tensor{name, {rows, kProductWidth}, {.spread = 1.0f}};
  std::vector<std::byte> bytes(rows * kProductWidth * DTypeBytes(dtype));
  random_model::RandomWeights(tensor, dtype, 1).Write(0, rows * kProductWidth, bytes.data());
  return bytes;
}

// Whether some results are what double precision gives.
bool SomeAreRight(const Projection& projection) {
  const TensorView<const float> x = projection.x.f32();
  const TensorView<float> y = projection.y.f32();
  for (const auto& [row, column] : {std::pair<int64_t, int64_t>{0, 0}, {100, 7}, {255, 1023}}) {
    double sum = 0, size = 0;
    for (int64_t i = 0; i < kProductWidth; ++i) {
      const double term = double{x.row(row)[i]} * WeightAt(projection.weight, column, i);
      sum += term;
      size += std::abs(term);
    }
    if (!(std::abs(sum - y.row(row)[column]) <= 1e-4 * size)) return false;
  }
  return true;
}

void MeasureProduct(DType dtype, ParallelFor& threads, MeasuredCeilings& out) {
  const std::vector<std::byte> weights = RandomMatrix("w", kProductWidth, dtype);
  const std::vector<std::byte> inputs = RandomMatrix("x", kProductRows, DType::kF32);
  std::vector<float> outputs(kProductRows * kProductWidth);
  Projection projection;
  projection.weight = {weights.data(), dtype, kProductWidth, kProductWidth};
  projection.x = TensorView<const float>(reinterpret_cast<const float*>(inputs.data()),
                                         {kProductRows, kProductWidth});
  projection.y = TensorView<float>(outputs.data(), {kProductRows, kProductWidth});
  const double seconds = BestSeconds([&] { ProjectCpu({&projection, 1}, threads); });
  out.flops_per_second = 2.0 * kProductRows * kProductWidth * kProductWidth / seconds;
  out.product_rows = kProductRows;
  out.product_width = kProductWidth;
  out.product_ok = SomeAreRight(projection);
}

}  // namespace

absl::StatusOr<MeasuredCeilings> MeasureCpuCeilings(DType weights, ParallelFor& threads) {
  MeasuredCeilings result;
  RETURN_IF_ERROR(MeasureMemory(threads, result));
  MeasureProduct(weights, threads, result);
  return result;
}

absl::StatusOr<MeasuredCeilings> MeasureCeilings(DType weights, Device& device) {
  const Stream stream = device.stream();
  if (stream.on_cpu()) return MeasureCpuCeilings(weights, stream.threads());
#if SKEIN_CUDA
  return MeasureCudaCeilings(weights, stream.cuda());
#else
  return absl::UnavailableError("this build has no CUDA");
#endif
}

}  // namespace skein::bench
