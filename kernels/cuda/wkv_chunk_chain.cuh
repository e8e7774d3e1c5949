// How the state of a sequence comes from the block of one chunk to that of the next: from shared
// memory to shared memory within a cluster of blocks, else through global memory. Every warp of a
// block has its part of the state and finds its part of the one before; there is no other order
// between blocks.
//
// A block waits for one with a lower number. As the device starts blocks in the order of their
// numbers, that one has a place to run.
#pragma once

#include <cstdint>

#include "kernels/cuda/wkv_chunk_plan.cuh"

namespace skein::cuda {

// Shared memory where the block before leaves its state.
template <int N>
struct ChunkMailbox {
  static constexpr int kWarps = N / 16;
  static constexpr int kVectors = N / 8;  // of four floats, of a lane

  alignas(16) float4 states[kWarps][kVectors][kWarp];
  uint64_t arrived[kWarps];

  static constexpr uint32_t kPartBytes = sizeof(states) / kWarps;
};

template <int N>
struct ChunkChain {
  static constexpr int kWarps = N / 16;
  static constexpr int kVectors = N / 8;
  static constexpr int64_t kHeadBytes = int64_t{N} * N * sizeof(float);

  float4* states;      // [Places][heads][kWarps][kVectors][kWarp]
  uint32_t* counters;  // [Places][heads][kWarps]: chunks that are done; zero before and after
  int first_head, num_heads;
  int neighbours;  // blocks of a cluster

  // A sequence of several chunks has its place at half of its first one's number.
  static int64_t Places(int64_t chunks) { return chunks / 2; }
};

// The ends of the chain in one block.
template <int N>
class ChunkLinks {
 public:
  using Chain = ChunkChain<N>;
  using Mailbox = ChunkMailbox<N>;

  __device__ ChunkLinks(const Chain& chain, Mailbox& mailbox, const Chunk& chunk,
                        const ChunkPlace& place)
      : chain_(chain),
        mailbox_(mailbox),
        chunk_(chunk),
        part_((static_cast<int64_t>(chunk.first / 2) * chain.num_heads + place.head) *
                  Chain::kWarps +
              threadIdx.x / kWarp),
        rank_(place.number % chain.neighbours) {}

  // By all threads of all blocks of a cluster, before anything else.
  __device__ static void Open(const Chain& chain, Mailbox& mailbox) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (chain.neighbours == 1) return;
    if (threadIdx.x == 0) {
      for (uint64_t& arrived : mailbox.arrived) {
        asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(Shared(&arrived)) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(Shared(&arrived)),
                     "r"(Mailbox::kPartBytes)
                     : "memory");
      }
    }
    __syncwarp();
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
#endif
  }
  // By the same, before Take: all mailboxes of the cluster are open.
  __device__ static void AwaitOpen(const Chain& chain) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (chain.neighbours == 1) return;
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
  }

  // The warp's part of the state before the chunk, which is not its sequence's first.
  __device__ const float4* Take() const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (rank_ > 0) {
      const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
      uint32_t done;
      do {
        asm volatile(
            "{ .reg .pred p; mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], 0; "
            "selp.u32 %0, 1, 0, p; }"
            : "=r"(done)
            : "r"(Shared(&mailbox_.arrived[warp]))
            : "memory");
      } while (done == 0);
      __syncwarp();
      return &mailbox_.states[warp][0][lane];
    }
#endif
    uint32_t done;
    do {
      asm volatile("ld.acquire.gpu.global.u32 %0, [%1];"
                   : "=r"(done)
                   : "l"(chain_.counters + part_)
                   : "memory");
    } while (done < static_cast<uint32_t>(chunk_.index));
    __syncwarp();
    return Global();
  }

  // The warp's part of the state behind the chunk, kVectors of each lane, for the next chunk.
  template <typename Vector>
  __device__ void Leave(Vector vector) const {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (rank_ + 1 < chain_.neighbours) {
      const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
      const uint32_t to = OfNext(&mailbox_.states[warp][0][lane]);
      const uint32_t arrived = OfNext(&mailbox_.arrived[warp]);
#pragma unroll
      for (int i = 0; i < Chain::kVectors; ++i) {
        const float4 x = vector(i);
        asm volatile(
            "st.async.shared::cluster.mbarrier::complete_tx::bytes.v4.f32 [%0], "
            "{%1, %2, %3, %4}, [%5];" ::"r"(to + i * kWarp * 16),
            "f"(x.x), "f"(x.y), "f"(x.z), "f"(x.w), "r"(arrived)
            : "memory");
      }
      return;
    }
#endif
#pragma unroll
    for (int i = 0; i < Chain::kVectors; ++i) __stcg(Global() + i * kWarp, vector(i));
    __syncwarp();
    if (threadIdx.x % kWarp == 0) {
      asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(chain_.counters + part_),
                   "r"(chunk_.index + 1)
                   : "memory");
    }
  }
  // Instead of it, by the last chunk of a sequence.
  __device__ void End() const {
    __syncwarp();
    if (chunk_.index > 0 && threadIdx.x % kWarp == 0) chain_.counters[part_] = 0;
  }

 private:
  __device__ float4* Global() const {
    return chain_.states + part_ * Chain::kVectors * kWarp + threadIdx.x % kWarp;
  }
  __device__ static uint32_t Shared(const void* mine) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(mine));
  }
  // The same place in the next block's shared memory.
  __device__ uint32_t OfNext(const void* mine) const {
    uint32_t its;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(its) : "r"(Shared(mine)), "r"(rank_ + 1));
    return its;
  }

  const Chain& chain_;
  Mailbox& mailbox_;
  const Chunk& chunk_;
  const int64_t part_;
  const int rank_;
};

}  // namespace skein::cuda
