#include "worker/memory/state_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "kernels/device/memory.h"

namespace skein {

absl::StatusOr<std::unique_ptr<StatePool>> StatePool::Create(int64_t record_bytes, int slots,
                                                             const Stream& stream) {
  if (slots < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("state pool: ", slots, " slots, expected at least 1"));
  }
  // An empty record still gets an address.
  const size_t bytes = std::max<size_t>(static_cast<size_t>(record_bytes) * (slots + 1), 1);
  ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena, CreateArena(stream, bytes));
  ASSIGN_OR_RETURN(void* base, arena->Allocate(bytes));
  RETURN_IF_ERROR(Zero(stream, base, record_bytes));
  return std::unique_ptr<StatePool>(
      new StatePool(stream, std::move(arena), base, record_bytes, slots));
}

StatePool::StatePool(const Stream& stream, std::unique_ptr<Arena> arena, void* base,
                     int64_t record_bytes, int slots)
    : stream_(stream),
      arena_(std::move(arena)),
      base_(base),
      record_bytes_(record_bytes),
      num_slots_(slots),
      used_(slots + 1) {
  for (int32_t slot = slots; slot > kZeroSlot; --slot) free_.push_back(slot);
}

absl::StatusOr<int32_t> StatePool::Allocate() {
  if (free_.empty()) return absl::ResourceExhaustedError("no free state slot");
  const int32_t slot = free_.back();
  free_.pop_back();
  used_[slot] = true;
  Clear(slot);
  return slot;
}

void StatePool::Free(int32_t slot) {
  SKEIN_CHECK(slot > kZeroSlot && slot <= num_slots_ && used_[slot]);
  used_[slot] = false;
  free_.push_back(slot);
}

void StatePool::Copy(int32_t from, int32_t to) {
  SKEIN_CHECK(from >= kZeroSlot && from <= num_slots_ && (from == kZeroSlot || used_[from]));
  SKEIN_CHECK(to > kZeroSlot && to <= num_slots_ && used_[to]);
  // A copy that cannot be enqueued means a lost GPU, which the next step reports.
  skein::Copy(stream_, Record(to), Record(from), record_bytes_).IgnoreError();
}

void StatePool::Install(const InitialState& state, int32_t slot) {
  SKEIN_CHECK(slot > kZeroSlot && slot <= num_slots_ && used_[slot]);
  SKEIN_CHECK(static_cast<int64_t>(state.record->bytes()) >= record_bytes_);
  skein::Copy(stream_, Record(slot), state.record->data(), record_bytes_).IgnoreError();
}

}  // namespace skein
