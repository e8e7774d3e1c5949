// The tensor-core instruction of compute capability 9.0a: 64 rows times N columns times 16, both
// operands in shared memory with 128-byte swizzle, fp32 accumulators in registers.
#pragma once

#include <cstdint>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

namespace skein::cuda {

// d (+)= A B^T for a warpgroup. Its thread t holds, for j in [0, kN / 8): columns 8 j + 2 (t % 4)
// and the next of row 16 (t / 32) + t % 32 / 4 in d[4 j], d[4 j + 1], and those of the row 8
// further down in d[4 j + 2], d[4 j + 3]. `a` and `b` are matrix descriptors; B lies as [kN][16]
// or, with kAcross, as [16][kN]. Without `add`, d is overwritten.
template <int kN, typename T, bool kAcross>
struct Wgmma;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

// Operands d[i] to d[i + 15], and their names in the instruction.
#define SKEIN_D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SKEIN_D16(i) SKEIN_D4(i), SKEIN_D4(i + 4), SKEIN_D4(i + 8), SKEIN_D4(i + 12)
#define SKEIN_D64 SKEIN_D16(0), SKEIN_D16(16), SKEIN_D16(32), SKEIN_D16(48)
#define SKEIN_D96 SKEIN_D64, SKEIN_D16(64), SKEIN_D16(80)
#define SKEIN_D128 SKEIN_D96, SKEIN_D16(96), SKEIN_D16(112)
#define SKEIN_NAMES64                                                                \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "           \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define SKEIN_NAMES96                                                                \
  SKEIN_NAMES64                                                                      \
  ", "                                                                               \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define SKEIN_NAMES128                                                                         \
  SKEIN_NAMES96                                                                                \
  ", "                                                                                         \
  "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, "     \
  "%111, "                                                                                     \
  "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, " \
  "%127"

#define SKEIN_WGMMA(N, D, T, TYPE, ACROSS, A, B, ADD, TRANSPOSE)                          \
  template <>                                                                             \
  struct Wgmma<N, T, ACROSS> {                                                            \
    __device__ static void Run(float (&d)[N / 2], uint64_t a, uint64_t b, bool add) {     \
      asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " ADD                                \
                   ", 0;\n"                                                               \
                   "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." TYPE "." TYPE        \
                   " {" SKEIN_NAMES##D "}, " A ", " B ", p, 1, 1, 0, " TRANSPOSE ";\n}\n" \
                   : SKEIN_D##D                                                           \
                   : "l"(a), "l"(b), "r"(static_cast<int>(add)), "n"(ACROSS ? 1 : 0));    \
    }                                                                                     \
  };
#define SKEIN_WGMMAS(N, D, A, B, ADD, TRANSPOSE)                        \
  SKEIN_WGMMA(N, D, __half, "f16", false, A, B, ADD, TRANSPOSE)         \
  SKEIN_WGMMA(N, D, __half, "f16", true, A, B, ADD, TRANSPOSE)          \
  SKEIN_WGMMA(N, D, __nv_bfloat16, "bf16", false, A, B, ADD, TRANSPOSE) \
  SKEIN_WGMMA(N, D, __nv_bfloat16, "bf16", true, A, B, ADD, TRANSPOSE)
SKEIN_WGMMAS(128, 64, "%64", "%65", "%66", "%67")
SKEIN_WGMMAS(192, 96, "%96", "%97", "%98", "%99")
SKEIN_WGMMAS(256, 128, "%128", "%129", "%130", "%131")

#undef SKEIN_WGMMAS
#undef SKEIN_WGMMA
#undef SKEIN_NAMES128
#undef SKEIN_NAMES96
#undef SKEIN_NAMES64
#undef SKEIN_D128
#undef SKEIN_D96
#undef SKEIN_D64
#undef SKEIN_D16
#undef SKEIN_D4

// The accumulators may be touched, and shared memory read by the tensor cores, after this.
__device__ inline void WgmmaBegin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void WgmmaCommit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// All but the last kPending committed groups have ended.
template <int kPending>
__device__ void WgmmaWait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

#endif

}  // namespace skein::cuda
