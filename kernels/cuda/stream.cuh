// Device building blocks of the kernels that stream weights: asynchronous copies to shared memory,
// hints for the second-level cache, eight 16-bit values at a time, sums over lanes.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/math.cuh"

namespace skein::cuda {

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// A cache policy for what is read once: weights shall not push activations out.
__device__ inline uint64_t EvictFirst() {
  uint64_t policy;
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
  return policy;
}

// --- A barrier in shared memory that counts arrivals and copied bytes. ---

__device__ inline void BarrierInit(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// Makes initialised barriers known to the copy engine; before the block's next __syncthreads.
__device__ inline void BarrierInitFence() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}
__device__ inline void BarrierArrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Returns when the phase of this parity has ended.
__device__ inline void BarrierWait(uint32_t barrier, uint32_t parity) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n"
      "}" ::"r"(barrier),
      "r"(parity)
      : "memory");
#endif
}

// One contiguous run of bytes, a multiple of 16, from global to shared memory. `full` gets an
// arrival now and ends its phase when the bytes are there.
__device__ inline void CopyBulk(uint32_t to, const void* from, uint32_t bytes, uint32_t full,
                                uint64_t policy) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(full), "r"(bytes)
               : "memory");
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1], %2, [%3], %4;" ::"r"(to),
      "l"(from), "r"(bytes), "r"(full), "l"(policy)
      : "memory");
#endif
}

// The way back: after WritesBeforeBulk by the threads that wrote the bytes, and a barrier. The
// thread that stores also waits: until its stores have read shared memory, or until they are done.
__device__ inline void WritesBeforeBulk() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}
__device__ inline void StoreBulk(void* to, uint32_t from, uint32_t bytes) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(to), "r"(from),
               "r"(bytes)
               : "memory");
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}
__device__ inline void WaitForBulkReads() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
#endif
}
__device__ inline void WaitForBulkWrites() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
#endif
}

// The first `threads` threads of a block, a multiple of 32, wait for each other.
__device__ inline void SyncFirst(int threads) {
  asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
}

__device__ inline uint4 LoadShared(uint32_t from) {
  uint4 v;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "r"(from)
               : "memory");
  return v;
}

// Sixteen bytes that are read once, or zeros.
__device__ inline uint4 LoadStreamingIf(bool wanted, const void* from, uint64_t policy) {
  uint4 v = {};
  asm volatile(
      "{\n"
      ".reg .pred wanted;\n"
      "setp.ne.b32 wanted, %6, 0;\n"
      "@wanted ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;\n"
      "}"
      : "+r"(v.x), "+r"(v.y), "+r"(v.z), "+r"(v.w)
      : "l"(from), "l"(policy), "r"(static_cast<int>(wanted)));
  return v;
}

// A value of type W from its bits.
template <typename W>
__device__ inline float WidenBits(uint32_t bits) {
  if constexpr (std::is_same_v<W, __half>) {
    return Widen(__ushort_as_half(static_cast<unsigned short>(bits)));
  } else {
    return __uint_as_float(bits << 16);
  }
}

// Eight values of type W as fp32.
template <typename W>
__device__ inline void Unpack(const uint4& bits, float (&to)[8]) {
  const uint32_t words[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(W) == 2 && std::is_same_v<W, __half>) {
      __half2 pair;
      memcpy(&pair, &words[i], sizeof(pair));
      const float2 wide = __half22float2(pair);
      to[2 * i] = wide.x;
      to[2 * i + 1] = wide.y;
    } else {
      to[2 * i] = __uint_as_float(words[i] << 16);
      to[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
}

// Sums kValues values over the warp at once: lane l gets the sum of value l / (32 / kValues). The
// tree over the lanes is the same for any number of values.
template <int kValues, int kStep = kWarp / 2>
__device__ inline float ReduceOverLanes(const float (&values)[kValues]) {
  if constexpr (kValues > 1) {
    static_assert(kValues <= 2 * kStep && kValues % 2 == 0);
    const bool upper = (threadIdx.x & kStep) != 0;
    float halves[kValues / 2];
#pragma unroll
    for (int i = 0; i < kValues / 2; ++i) {
      const float low = values[i], high = values[i + kValues / 2];
      halves[i] = (upper ? high : low) + __shfl_xor_sync(~0u, upper ? low : high, kStep);
    }
    return ReduceOverLanes<kValues / 2, kStep / 2>(halves);
  } else {
    float sum = values[0];
#pragma unroll
    for (int step = kStep; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    return sum;
  }
}

}  // namespace skein::cuda
