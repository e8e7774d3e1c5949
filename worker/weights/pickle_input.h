// Reads a pickle's opcodes and operands, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "worker/weights/byte_reader.h"

namespace skein {

// Errors are DataLoss: the pickle ends too early. Texts point into the pickle.
class PickleInput {
 public:
  explicit PickleInput(std::span<const std::byte> pickle) : bytes_(pickle) {}

  uint64_t position() const { return at_; }
  uint64_t size() const { return bytes_.size(); }

  absl::StatusOr<absl::string_view> TakeText(uint64_t bytes);
  // A little-endian integer of up to 8 bytes.
  absl::StatusOr<uint64_t> TakeInteger(int bytes);
  // Up to the next '\n', which is taken too. At most `max_bytes` with it.
  absl::StatusOr<absl::string_view> TakeLine(uint64_t max_bytes);

 private:
  ByteReader bytes_;
  uint64_t at_ = 0;
};

}  // namespace skein
