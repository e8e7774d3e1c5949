// The stack, marks and memo of the pickle machine, each with its limit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "worker/weights/pickle_values.h"

namespace skein {

// Nothing below the last mark can be popped. Errors are DataLoss: too much, or too little there.
class PickleStack {
 public:
  static constexpr size_t kMaxHeight = 1'000'000;
  static constexpr uint32_t kMaxMemo = 1'000'000;

  absl::Status Push(PickleValue value);
  absl::StatusOr<PickleValue> Pop();
  absl::StatusOr<PickleValue> Top() const;
  // Top, if it is of `kind`.
  absl::StatusOr<PickleValue> TopOf(PickleKind kind) const;

  absl::Status Mark();
  // Everything above the last mark, in the order it was pushed; the mark goes too.
  absl::StatusOr<std::vector<PickleValue>> PopToMark();

  // Keeps the top value under `index`; pushes it again.
  absl::Status Store(uint32_t index);
  absl::Status Fetch(uint32_t index);

  // The only value left.
  absl::StatusOr<PickleValue> Single() const;

 private:
  std::vector<PickleValue> values_;
  std::vector<size_t> marks_;  // heights
  std::vector<PickleValue> memo_;
};

}  // namespace skein
