#include <cmath>

#include "common/base/status_macros.h"
#include "kernels/device/memory.h"
#include "kernels/linear/linear.h"
#include "tools/skein-bench/ceilings.h"
#include "tools/skein-bench/gpu.h"

namespace skein::bench {
namespace {

constexpr int64_t kBytes = int64_t{1} << 30;  // far beyond the second-level cache
constexpr int64_t kSize = 8192;               // of a product, in all three dimensions
constexpr int kRounds = 20;
constexpr int64_t kChecked = 64;  // rows and columns of the corner that is computed again

float ToFloat(DType dtype, uint16_t bits) {
  return dtype == DType::kBF16 ? Bf16ToFloat(bits) : Fp16ToFloat(bits);
}

absl::Status MeasureMemory(CudaContext& context, std::byte* from, std::byte* to,
                           MeasuredCeilings& out) {
  const Stream stream(context);
  RETURN_IF_ERROR(FillRandom(context, from, DType::kF32, kBytes / 4, 1.0f, 1));
  uint32_t* const word = reinterpret_cast<uint32_t*>(to);
  ASSIGN_OR_RETURN(const double read, DeviceSeconds(context, kRounds, [&](int) {
                     return ReadAll(context, from, kBytes, word);
                   }));
  ASSIGN_OR_RETURN(const double copy, DeviceSeconds(context, kRounds, [&](int) {
                     return Copy(stream, to, from, kBytes);
                   }));
  out.read_bytes_per_second = kBytes / read;
  out.copy_bytes_per_second = 2 * kBytes / copy;
  return absl::OkStatus();
}

// Whether a corner of the product is what double precision gives.
absl::StatusOr<bool> CornerIsRight(const Projection& projection, const Stream& stream) {
  const DType dtype = projection.weight.dtype;
  ASSIGN_OR_RETURN(const auto staging, CreateStaging(stream, 3 * kChecked * kSize * 2));
  uint16_t* const weights = static_cast<uint16_t*>(staging->data());
  uint16_t* const x = weights + kChecked * kSize;
  uint16_t* const y = x + kChecked * kSize;
  const size_t bytes = kChecked * kSize * 2;
  RETURN_IF_ERROR(Copy(stream, weights, projection.weight.data, bytes));
  RETURN_IF_ERROR(Copy(stream, x, projection.x.data(), bytes));
  RETURN_IF_ERROR(Copy(stream, y, projection.y.data(), bytes));
  RETURN_IF_ERROR(Synchronize(stream));
  for (int64_t row = 0; row < kChecked; row += 9) {
    for (int64_t column = 0; column < kChecked; column += 7) {
      double sum = 0, size = 0;
      for (int64_t i = 0; i < kSize; ++i) {
        const double term = double{ToFloat(dtype, x[row * kSize + i])} *
                            ToFloat(dtype, weights[column * kSize + i]);
        sum += term;
        size += std::abs(term);
      }
      const double found = ToFloat(dtype, y[row * kSize + column]);
      const double rounding = std::abs(sum) * (dtype == DType::kBF16 ? 4e-3 : 5e-4);
      if (!(std::abs(found - sum) <= rounding + 1e-5 * size)) return false;
    }
  }
  return true;
}

absl::Status MeasureProduct(CudaContext& context, DType dtype, std::byte* memory,
                            MeasuredCeilings& out) {
  constexpr int64_t kMatrixBytes = kSize * kSize * 2;
  Projection projection;
  projection.weight = {memory, dtype, kSize, kSize};
  projection.x = ConstActivationView(memory + kMatrixBytes, dtype, {kSize, kSize});
  projection.y = ActivationView(memory + 2 * kMatrixBytes, dtype, {kSize, kSize});
  RETURN_IF_ERROR(projection.Validate());
  RETURN_IF_ERROR(FillRandom(context, memory, dtype, 2 * kSize * kSize, 1.0f, 2));
  ASSIGN_OR_RETURN(const double seconds, DeviceSeconds(context, kRounds, [&](int) {
                     return ProjectCuda({&projection, 1}, context);
                   }));
  out.flops_per_second = 2.0 * kSize * kSize * kSize / seconds;
  out.product_rows = kSize;
  out.product_width = kSize;
  ASSIGN_OR_RETURN(out.product_ok, CornerIsRight(projection, Stream(context)));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MeasuredCeilings> MeasureCudaCeilings(DType weights, CudaContext& context) {
  ASSIGN_OR_RETURN(const auto arena, CreateArena(Stream(context), 2 * kBytes));
  std::byte* const memory = static_cast<std::byte*>(arena->data());
  MeasuredCeilings result;
  RETURN_IF_ERROR(MeasureMemory(context, memory, memory + kBytes, result));
  RETURN_IF_ERROR(MeasureProduct(context, weights, memory, result));
  return result;
}

}  // namespace skein::bench
