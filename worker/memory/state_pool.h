// Recurrent states: records of one fixed size, addressed by slot.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "kernels/device/arena.h"
#include "kernels/device/stream.h"
#include "worker/memory/initial_state.h"

namespace skein {

// Slot 0 is the zero state, the one before a sequence's first token: it can be copied from but is
// never handed out nor written. Owned by one thread.
class StatePool {
 public:
  static constexpr int32_t kZeroSlot = 0;

  // `slots` records of `record_bytes` besides the zero state, where `stream` computes and in its
  // order; a model without recurrent state has records of 0 bytes. ResourceExhausted if the memory
  // cannot be had.
  static absl::StatusOr<std::unique_ptr<StatePool>> Create(int64_t record_bytes, int slots,
                                                           const Stream& stream = Stream());

  // A slot with the zero state. ResourceExhausted if none is free.
  absl::StatusOr<int32_t> Allocate();
  void Free(int32_t slot);
  void Clear(int32_t slot) { Copy(kZeroSlot, slot); }
  void Copy(int32_t from, int32_t to);
  // `state` must live until what was enqueued is done.
  void Install(const InitialState& state, int32_t slot);

  void* base() const { return base_; }  // [slots + 1, record_bytes]; lives as long as the pool
  int64_t record_bytes() const { return record_bytes_; }
  int num_slots() const { return num_slots_; }  // besides the zero state
  int num_free() const { return static_cast<int>(free_.size()); }

 private:
  StatePool(const Stream& stream, std::unique_ptr<Arena> arena, void* base, int64_t record_bytes,
            int slots);
  char* Record(int32_t slot) const { return static_cast<char*>(base_) + slot * record_bytes_; }

  const Stream stream_;
  std::unique_ptr<Arena> arena_;
  void* base_;
  int64_t record_bytes_;
  int num_slots_;
  std::vector<int32_t> free_;  // the last one is next
  std::vector<bool> used_;     // by slot
};

}  // namespace skein
