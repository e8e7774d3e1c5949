// Products of up to 64 rows on the tensor cores of compute capability 9.0, at the speed at which
// the weights can be read. See streamed_kernel.cuh.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"

#include "kernels/cpu/token_shift.h"
#include "kernels/device/cuda_context.h"
#include "kernels/linear/linear.h"

namespace skein {

inline constexpr int64_t kMaxStreamedRows = 64;

// Whether StreamedProducts can run it here: up to kMaxStreamedRows rows; 16-bit weights and rows of
// one type; lines of weights and rows a multiple of eight elements long and aligned to 16 bytes;
// 16-bit outputs in pairs.
bool CanStream(const Projection& projection, const CudaContext& context);

// All of them, with as few launches as possible; every one has the same number of rows. A row's
// bits depend on the set of weights, not on the number of rows. Internal if the context's workspace
// or counters are too small. The blocks of a launch wait for each other and take all of the device:
// one stream of it runs such products.
absl::Status StreamedProducts(std::span<const Projection> projections, CudaContext& context);

// Whether StreamShifted can run it here: a decode step of rows of up to 4096 elements, a multiple
// of eight; products that CanStream; up to six inputs, of the weights' type.
bool CanStreamShifted(const TokenShift& shift, std::span<const ShiftedInput> inputs,
                      std::span<const Projection> projections, const CudaContext& context);

// TokenShiftCuda, then StreamedProducts of what it wrote, with a launch less.
absl::Status StreamShifted(const TokenShift& shift, std::span<const ShiftedInput> inputs,
                           std::span<const Projection> projections, CudaContext& context);

// What StreamedProducts needs at most of a context.
size_t StreamedWorkspaceBytes(int sm_count);
int64_t StreamedCounters(int sm_count);

}  // namespace skein
