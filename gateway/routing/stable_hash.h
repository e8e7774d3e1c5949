// A hash that is the same in every process and on every machine: gateways must agree on where a key
// belongs.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace skein {

// Spreads what differs in few bits over all of them.
inline uint64_t MixBits(uint64_t x) {  // the finish of splitmix64
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// FNV-1a, mixed, because its high bits know little of the last bytes. `seed` chains hashes.
inline uint64_t StableHash(absl::string_view text, uint64_t seed = 0) {
  uint64_t hash = 0xcbf29ce484222325u ^ seed;
  for (const char byte : text) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  }
  return MixBits(hash);
}

}  // namespace skein
