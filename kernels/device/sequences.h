// How the rows of a step belong to sequences, and where a sequence's recurrent state lies.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/base/check.h"
#include "common/tensor/dtype.h"
#include "common/tensor/tensor_view.h"

namespace skein {

// Sequence s has rows [row_begin[s], row_begin[s + 1]), in the order of its tokens, and the state
// record slots[s]. Slots are distinct. Every sequence has at least one row. On CUDA a sequence may
// have the slot -1: it fills up a step of fixed size; it has no state, and what is computed for its
// rows is of no interest.
struct SequenceRows {
  TensorView<const int32_t> row_begin;  // [sequences + 1]
  TensorView<const int32_t> slots;      // [sequences]
  int64_t num_rows = 0;
  int64_t max_rows = 0;  // of the longest sequence; 1: a decode, in which row s is sequence s

  int64_t count() const { return slots.dim(0); }
  int64_t rows() const { return num_rows; }
  bool is_decode() const { return max_rows == 1; }
  // Host memory only, as are the two below.
  int64_t begin(int64_t s) const { return row_begin[s]; }
  int64_t end(int64_t s) const { return row_begin[s + 1]; }
  // The sequence that `row` belongs to.
  int64_t Find(int64_t row) const {
    const int32_t* first = row_begin.data();
    return std::upper_bound(first, first + count() + 1, row) - first - 1;
  }
};

// One field of the state records of all slots. The engine owns the records.
struct StateTensor {
  void* base = nullptr;       // the field of slot 0
  int64_t slot_stride = 0;    // bytes from one slot's field to the next slot's
  DType dtype = DType::kF32;  // or fp16, for the WKV states of a CUDA model

  // Of an fp32 field in host memory.
  float* slot(int64_t index) const {
    SKEIN_CHECK(dtype == DType::kF32);
    return reinterpret_cast<float*>(static_cast<char*>(base) + index * slot_stride);
  }
};

}  // namespace skein
