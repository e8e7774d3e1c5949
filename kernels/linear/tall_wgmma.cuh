// The tensor-core instruction of wgmma.cuh for few columns, its tall operand the weights.
#pragma once

#include <cstdint>

#include "kernels/linear/wgmma.cuh"

namespace skein::cuda {

// d (+)= A B^T for a warpgroup: A lies as [64][16] or, with kAcross, as [16][64]; B as [kN][16].
// The threads hold d as with Wgmma.
template <int kN, typename T, bool kAcross>
struct TallWgmma;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

#define SKEIN_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SKEIN_SUMS4 SKEIN_D4(0)
#define SKEIN_SUMS8 SKEIN_SUMS4, SKEIN_D4(4)
#define SKEIN_SUMS12 SKEIN_SUMS8, SKEIN_D4(8)
#define SKEIN_SUMS16 SKEIN_SUMS12, SKEIN_D4(12)
#define SKEIN_SUMS24 SKEIN_SUMS16, SKEIN_D4(16), SKEIN_D4(20)
#define SKEIN_SUMS32 SKEIN_SUMS24, SKEIN_D4(24), SKEIN_D4(28)
#define SKEIN_NAMES4 "%0, %1, %2, %3"
#define SKEIN_NAMES8 SKEIN_NAMES4 ", %4, %5, %6, %7"
#define SKEIN_NAMES12 SKEIN_NAMES8 ", %8, %9, %10, %11"
#define SKEIN_NAMES16 SKEIN_NAMES12 ", %12, %13, %14, %15"
#define SKEIN_NAMES24 SKEIN_NAMES16 ", %16, %17, %18, %19, %20, %21, %22, %23"
#define SKEIN_NAMES32 SKEIN_NAMES24 ", %24, %25, %26, %27, %28, %29, %30, %31"

#define SKEIN_TALL_WGMMA(N, D, T, TYPE, ACROSS, A, B, ADD, TRANSPOSE)                     \
  template <>                                                                             \
  struct TallWgmma<N, T, ACROSS> {                                                        \
    __device__ static void Run(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {     \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ADD                                \
                   ", 0;\n"                                                               \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE        \
                   " {" SKEIN_NAMES##D "}, " A ", " B ", p, 1, 1, " TRANSPOSE ", 0;\n}\n" \
                   : SKEIN_SUMS##D                                                        \
                   : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(ACROSS ? 1 : 0));    \
    }                                                                                     \
  };
#define SKEIN_TALL_WGMMAS(N, D, A, B, ADD, TRANSPOSE)                        \
  SKEIN_TALL_WGMMA(N, D, __half, "f16", false, A, B, ADD, TRANSPOSE)         \
  SKEIN_TALL_WGMMA(N, D, __half, "f16", true, A, B, ADD, TRANSPOSE)          \
  SKEIN_TALL_WGMMA(N, D, __nv_bfloat16, "bf16", false, A, B, ADD, TRANSPOSE) \
  SKEIN_TALL_WGMMA(N, D, __nv_bfloat16, "bf16", true, A, B, ADD, TRANSPOSE)
SKEIN_TALL_WGMMAS(8, 4, "%4", "%5", "%6", "%7")
SKEIN_TALL_WGMMAS(16, 8, "%8", "%9", "%10", "%11")
SKEIN_TALL_WGMMAS(24, 12, "%12", "%13", "%14", "%15")
SKEIN_TALL_WGMMAS(32, 16, "%16", "%17", "%18", "%19")
SKEIN_TALL_WGMMAS(48, 24, "%24", "%25", "%26", "%27")
SKEIN_TALL_WGMMAS(64, 32, "%32", "%33", "%34", "%35")

#undef SKEIN_TALL_WGMMAS
#undef SKEIN_TALL_WGMMA
#undef SKEIN_NAMES32
#undef SKEIN_NAMES24
#undef SKEIN_NAMES16
#undef SKEIN_NAMES12
#undef SKEIN_NAMES8
#undef SKEIN_NAMES4
#undef SKEIN_SUMS32
#undef SKEIN_SUMS24
#undef SKEIN_SUMS16
#undef SKEIN_SUMS12
#undef SKEIN_SUMS8
#undef SKEIN_SUMS4
#undef SKEIN_D4

// Keeps the compiler from moving reads of the sums across this point.
template <int kCount>
__device__ void PinSums(float (&d)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

#endif

}  // namespace skein::cuda
