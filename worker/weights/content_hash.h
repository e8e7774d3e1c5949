// A fast 64-bit hash that tells weights apart. Not for adversaries.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace skein {

// The same on every machine. Chain calls by passing the last result as `seed`: cutting the input
// differently gives another value.
uint64_t ContentHash(const void* data, size_t bytes, uint64_t seed);
inline uint64_t ContentHash(absl::string_view text, uint64_t seed) {
  return ContentHash(text.data(), text.size(), seed);
}

}  // namespace skein
