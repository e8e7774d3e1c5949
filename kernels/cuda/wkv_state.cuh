// A head's state of the RWKV-7 recurrence, [N value channels][N key channels], between memory and
// registers: fp32 as it is, fp16 with stochastic rounding.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

#include "common/tensor/tensor_view.h"
#include "kernels/cuda/vector_io.cuh"
#include "kernels/device/sequences.h"

namespace skein::cuda {

// Where the states of a step lie, and which rows belong to whom.
struct WkvSequences {
  char* state;          // slot 0
  int64_t slot_stride;  // bytes
  const int32_t* row_begin;
  const int32_t* slots;      // -1: nothing to do
  const int32_t* positions;  // [rows], of the tokens; what fp16 states are rounded with
  int count;
  bool is_decode;  // row s is sequence s

  __device__ int begin(int s) const { return is_decode ? s : row_begin[s]; }
  __device__ int end(int s) const { return is_decode ? s + 1 : row_begin[s + 1]; }
  template <typename State>
  __device__ State* Head(int slot, int head, int n) const {
    return reinterpret_cast<State*>(state + slot * slot_stride) +
           static_cast<int64_t>(head) * n * n;
  }
};

inline WkvSequences MakeWkvSequences(const SequenceRows& rows, const StateTensor& state,
                                     const TensorView<const int32_t>& positions) {
  return {static_cast<char*>(state.base), state.slot_stride,
          rows.row_begin.data(),          rows.slots.data(),
          positions.data(),               static_cast<int>(rows.count()),
          rows.is_decode()};
}

// The kernels for head sizes 64, 96 and 128 move states 16 bytes at a time.
inline bool HasFastWkv(int n, const StateTensor& state) {
  return (n == 64 || n == 96 || n == 128) && state.slot_stride % 16 == 0 &&
         reinterpret_cast<uintptr_t>(state.base) % 16 == 0;
}
// InvalidArgument where only the plain kernels are left and the state is not fp32.
inline absl::Status CheckPlainWkv(const StateTensor& state) {
  if (state.dtype == DType::kF32) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "state: fp16 needs a head size of 64, 96 or 128 and records of whole 16 bytes");
}

// Random bits for rounding eight neighbouring elements of a state row: a function of the token's
// position and of the place in the field alone, so that a state saved, moved and continued gives
// the same bits. `row` counts value channels over all heads.
class RoundingNoise {
 public:
  __device__ RoundingNoise(uint32_t position, uint32_t row, uint32_t key) {
    uint32_t h = position * 0x9e3779b1u + row * 0x85ebca77u + (key / 8) * 0xc2b2ae3du;
    h ^= h >> 16;
    h *= 0x7feb352du;
    h ^= h >> 15;
    h *= 0x846ca68bu;
    hash_ = h ^ h >> 16;
  }
  // x and y, elements 2 * pair and 2 * pair + 1 of the eight, as fp16. What is added below the last
  // bit that stays is uniform, so the expectation is the value itself; beyond the range of fp16 the
  // largest number stands. Under 2^-14, where fp16 is subnormal, the cut is towards zero.
  __device__ uint32_t Round(int pair, float x, float y) const {
    const uint32_t bits = hash_ * (0x9e3779b1u + pair * 0x7f4a7c16u);  // an odd factor for each
    const float low = __uint_as_float(__float_as_uint(x) + (bits >> 19));
    const float high = __uint_as_float(__float_as_uint(y) + (bits >> 6 & 0x1fffu));
    uint32_t packed;
    asm("cvt.rz.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
  }

 private:
  uint32_t hash_;
};

// C neighbouring elements of a row. `key` is the first's, a multiple of C.
template <int C>
__device__ inline void StoreState(float* to, const RoundingNoise&, int, const float (&from)[C]) {
  Packed<float, C> packed;
#pragma unroll
  for (int i = 0; i < C; ++i) packed.values[i] = from[i];
  packed.Store(to);
}
template <int C>
__device__ inline void StoreState(__half* to, const RoundingNoise& noise, int key,
                                  const float (&from)[C]) {
  Packed<uint32_t, C / 2> packed;
#pragma unroll
  for (int i = 0; i < C; i += 2) {
    packed.values[i / 2] = noise.Round(key % 8 / 2 + i / 2, from[i], from[i + 1]);
  }
  packed.Store(reinterpret_cast<uint32_t*>(to));
}

}  // namespace skein::cuda
