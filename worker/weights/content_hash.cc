#include "worker/weights/content_hash.h"

#include <cstring>

namespace skein {
namespace {

// Odd constants with about as many ones as zeros: digits of pi.
constexpr uint64_t kKeys[4] = {0x243f6a8885a308d3, 0x13198a2e03707345, 0xa4093822299f31d1,
                               0x082efa98ec4e6c89};
constexpr size_t kWord = sizeof(uint64_t);
constexpr size_t kBlock = 8 * kWord;

uint64_t Load(const unsigned char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, kWord);
  return word;
}

// Both halves of the 128-bit product, folded.
uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t ContentHash(const void* data, size_t bytes, uint64_t seed) {
  const unsigned char* in = static_cast<const unsigned char*>(data);
  // Four lanes keep the multiplier busy; each takes two words of a block.
  uint64_t lanes[4];
  for (size_t i = 0; i < 4; ++i) lanes[i] = Mix(seed ^ kKeys[i], kKeys[(i + 1) % 4] ^ bytes);
  size_t rest = bytes;
  for (; rest >= kBlock; rest -= kBlock, in += kBlock) {
    for (size_t i = 0; i < 4; ++i) {
      lanes[i] =
          Mix(lanes[i] ^ Load(in + 2 * i * kWord), kKeys[i] ^ Load(in + (2 * i + 1) * kWord));
    }
  }
  unsigned char tail[kBlock] = {};
  if (rest > 0) std::memcpy(tail, in, rest);
  for (size_t i = 0; i < 4; ++i) {
    lanes[i] = Mix(lanes[i] ^ Load(tail + 2 * i * kWord) ^ kKeys[3 - i],
                   kKeys[i] ^ Load(tail + (2 * i + 1) * kWord));
  }
  return Mix(lanes[0] ^ kKeys[2], lanes[1] ^ kKeys[3]) ^
         Mix(lanes[2] ^ kKeys[0], lanes[3] ^ kKeys[1]);
}

}  // namespace skein
