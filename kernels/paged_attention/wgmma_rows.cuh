// The tensor-core instruction of compute capability 9.0a with the left operand in registers.
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace skein::attention {

// d += A B for a warpgroup: A is [64][16], B [16][kN] in shared memory with rows as in
// cuda::OperandAcross. d as in cuda::Wgmma; a thread's part of A is, of the row of d[0] and d[1]
// and of the row of d[2] and d[3], columns 2 (t % 4) and the next in a[0] and a[1], and those 8
// further right in a[2] and a[3].
template <int kN, typename T>
struct WgmmaRows;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

#define SKEIN_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SKEIN_D16(i) SKEIN_D4(i), SKEIN_D4(i + 4), SKEIN_D4(i + 8), SKEIN_D4(i + 12)
#define SKEIN_D32 SKEIN_D16(0), SKEIN_D16(16)
#define SKEIN_D48 SKEIN_D32, SKEIN_D16(32)
#define SKEIN_D64 SKEIN_D48, SKEIN_D16(48)
#define SKEIN_NAMES32                                                      \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define SKEIN_NAMES48 \
  SKEIN_NAMES32       \
  ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define SKEIN_NAMES64 \
  SKEIN_NAMES48       \
  ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"

#define SKEIN_WGMMA_ROWS(N, D, T, TYPE, A, B)                                           \
  template <>                                                                           \
  struct WgmmaRows<N, T> {                                                              \
    __device__ static void Run(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b) { \
      asm volatile("wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE      \
                   " {" SKEIN_NAMES##D "}, {" A "}, " B ", 1, 1, 1, 1;\n"               \
                   : SKEIN_D##D                                                         \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));               \
    }                                                                                   \
  };
#define SKEIN_WGMMAS_ROWS(N, D, A, B)         \
  SKEIN_WGMMA_ROWS(N, D, __half, "f16", A, B) \
  SKEIN_WGMMA_ROWS(N, D, __nv_bfloat16, "bf16", A, B)
SKEIN_WGMMAS_ROWS(64, 32, "%32, %33, %34, %35", "%36")
SKEIN_WGMMAS_ROWS(96, 48, "%48, %49, %50, %51", "%52")
SKEIN_WGMMAS_ROWS(128, 64, "%64, %65, %66, %67", "%68")

#undef SKEIN_WGMMAS_ROWS
#undef SKEIN_WGMMA_ROWS
#undef SKEIN_NAMES64
#undef SKEIN_NAMES48
#undef SKEIN_NAMES32
#undef SKEIN_D64
#undef SKEIN_D48
#undef SKEIN_D32
#undef SKEIN_D16
#undef SKEIN_D4

#endif

}  // namespace skein::attention
