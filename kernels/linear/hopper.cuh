// Barriers, bulk tensor copies, clusters and operand descriptors of compute capability 9.0, as
// products on tensor cores use them. A barrier is a 64-bit word in shared memory; addresses are
// 32-bit ones of the shared window.
#pragma once

#include <cstdint>

#include <cuda.h>
#include <cuda_runtime.h>

namespace skein::cuda {

// How long what a copy reads shall stay in the L2 cache.
inline constexpr uint64_t kEvictFirst = 0x12f0000000000000;
inline constexpr uint64_t kEvictNormal = 0x1000000000000000;
inline constexpr uint64_t kEvictLast = 0x14f0000000000000;

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

__device__ inline uint32_t SharedAddress(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

__device__ inline void BarrierInit(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals));
}
// Barriers that were initialised before can be used by the copy engine and by the whole cluster.
__device__ inline void BarrierInitFence() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async;" ::: "memory");
}
__device__ inline void BarrierExpect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
__device__ inline void BarrierArrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// The barrier at the same place in block `rank` of the cluster.
__device__ inline void BarrierArriveAt(uint32_t barrier, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [remote];\n}\n" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
__device__ inline void BarrierWait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}\n" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// A box of `map` at element (column, row) to shared memory; its bytes arrive at `barrier`.
__device__ inline void CopyBox(uint32_t to, const CUtensorMap* map, int column, int row,
                               uint32_t barrier, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "l"(policy)
      : "memory");
}
// The same to every block of the cluster that has a bit in `blocks`, and to its own barrier.
__device__ inline void CopyBoxToAll(uint32_t to, const CUtensorMap* map, int column, int row,
                                    uint32_t barrier, uint16_t blocks, uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5, %6;" ::"r"(to),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks), "l"(policy)
      : "memory");
}
// A box from shared memory to `map`, or added to what is there, an element at a time; elements
// outside are left out. Copies of one thread form groups that end with CommitCopies.
__device__ inline void StoreBox(const CUtensorMap* map, uint32_t from, int column, int row) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
      "r"(column), "r"(row), "r"(from)
      : "memory");
}
__device__ inline void AddBox(const CUtensorMap* map, uint32_t from, int column, int row) {
  asm volatile(
      "cp.reduce.async.bulk.tensor.2d.global.shared::cta.add.tile.bulk_group [%0, {%1, %2}], "
      "[%3];" ::"l"(map),
      "r"(column), "r"(row), "r"(from)
      : "memory");
}
__device__ inline void CommitCopies() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// All but the last kPending groups of this thread have read their shared memory.
template <int kPending>
__device__ void CopiesRead() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(kPending) : "memory");
}
__device__ inline void PrefetchMap(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

__device__ inline uint32_t ClusterRank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
// All threads of all blocks of the cluster meet, and see what each wrote to shared memory.
__device__ inline void ClusterSync() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}
// Four floats from the shared memory of block `rank` of the cluster.
__device__ inline float4 LoadFrom(uint32_t address, uint32_t rank) {
  float4 v;
  asm volatile(
      "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %4, %5;\n"
      "ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [remote];\n}\n"
      : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
      : "r"(address), "r"(rank)
      : "memory");
  return v;
}
// Ordinary accesses to shared memory before this come before the copy engine's after it.
__device__ inline void FenceForCopies() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
// What others wrote before they released `*pointer` is read after this.
__device__ inline uint32_t LoadAcquire(const uint32_t* pointer) {
  uint32_t value;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(pointer) : "memory");
  return value;
}
// 16 bytes through the L2 cache to shared memory, without a register.
__device__ inline void CopyVector(uint32_t to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
__device__ inline float4 LoadShared(uint32_t address) {
  float4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(address)
               : "memory");
  return v;
}
// What this thread has copied so is there, for this thread.
__device__ inline void AwaitVectors() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// A barrier of the hardware among `threads` threads.
__device__ inline void NamedBarrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

template <int kRegisters>
__device__ void KeepRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ void TakeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

// Operand of Wgmma: rows of 64 16-bit elements, 128-byte swizzled, 1024-byte aligned. The summed
// dimension runs along the row: 16 further elements are 32 bytes.
__device__ inline uint64_t OperandAlong(uint32_t address) {
  return (address & 0x3ffff) >> 4 | 1ull << 16 | 64ull << 32 | 1ull << 62;
}
// The summed dimension runs across the rows, of which 64 form a block with 64 outputs; the next
// block is 8 KiB further. 16 further rows are 2048 bytes.
__device__ inline uint64_t OperandAcross(uint32_t address) {
  return (address & 0x3ffff) >> 4 | 512ull << 16 | 64ull << 32 | 1ull << 62;
}

#endif

}  // namespace skein::cuda
