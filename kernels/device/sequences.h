// How the rows of a step belong to sequences, and where a sequence's recurrent state lies.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/tensor/tensor_view.h"

namespace skein {

// Sequence s has rows [row_begin[s], row_begin[s + 1]), in the order of its tokens, and the state
// record slots[s]. Slots are distinct. Every sequence has at least one row.
struct SequenceRows {
  TensorView<const int32_t> row_begin;  // [sequences + 1]
  TensorView<const int32_t> slots;      // [sequences]

  int64_t count() const { return slots.dim(0); }
  int64_t rows() const { return row_begin[count()]; }  // host memory only, as are the two below
  int64_t begin(int64_t s) const { return row_begin[s]; }
  int64_t end(int64_t s) const { return row_begin[s + 1]; }
  // The sequence that `row` belongs to.
  int64_t Find(int64_t row) const {
    const int32_t* first = row_begin.data();
    return std::upper_bound(first, first + count() + 1, row) - first - 1;
  }
};

// One fp32 field of the state records of all slots. The engine owns the records.
struct StateTensor {
  float* base = nullptr;    // the field of slot 0
  int64_t slot_stride = 0;  // elements from one slot's field to the next slot's

  float* slot(int64_t index) const { return base + index * slot_stride; }
};

}  // namespace skein
