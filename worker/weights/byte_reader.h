// Little-endian numbers at offsets of a byte range. Never reads outside it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "absl/strings/string_view.h"

#include "common/base/check.h"

namespace skein {

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t size() const { return bytes_.size(); }
  // Whether [offset, offset + count) lies in the range.
  bool Has(uint64_t offset, uint64_t count) const {
    return offset <= size() && count <= size() - offset;
  }
  // The caller has asked Has().
  std::span<const std::byte> Slice(uint64_t offset, uint64_t count) const {
    SKEIN_CHECK(Has(offset, count));
    return bytes_.subspan(offset, count);
  }
  absl::string_view Text(uint64_t offset, uint64_t count) const {
    const std::span<const std::byte> slice = Slice(offset, count);
    return absl::string_view(reinterpret_cast<const char*>(slice.data()), slice.size());
  }
  uint8_t U8(uint64_t offset) const { return Read<uint8_t>(offset); }
  uint16_t U16(uint64_t offset) const { return Read<uint16_t>(offset); }
  uint32_t U32(uint64_t offset) const { return Read<uint32_t>(offset); }
  uint64_t U64(uint64_t offset) const { return Read<uint64_t>(offset); }

 private:
  // The machines that skein runs on are little-endian.
  template <typename T>
  T Read(uint64_t offset) const {
    T value;
    std::memcpy(&value, Slice(offset, sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::span<const std::byte> bytes_;
};

}  // namespace skein
