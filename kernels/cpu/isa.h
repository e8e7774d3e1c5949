// The instruction sets that the CPU kernels are compiled for. A `*_lanes.cc` file is compiled once
// for each (skein_isa_sources), and the best that the processor has is taken at run time. All give
// the same bits.
//
// Such a file includes nothing but its own plain-data header, vec.h, vec_math.h and <cstdint>: an
// inline function of a common header, compiled there with wider instructions, could be the copy
// that the linker keeps for everybody.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace skein {

enum class Isa { kPortable, kAvx2, kAvx512 };

absl::string_view IsaName(Isa isa);  // "portable", "avx2", "avx512"
// What this processor can run, worst first; always begins with kPortable.
const std::vector<Isa>& SupportedIsas();
// The one in use: the best supported, or the one that the environment variable SKEIN_CPU_ISA names
// (ignored if the processor lacks it), or a ScopedIsa's.
Isa ActiveIsa();

// For tests: all threads use `isa`, which must be supported, until the end of the scope.
class ScopedIsa {
 public:
  explicit ScopedIsa(Isa isa);
  ~ScopedIsa();
  ScopedIsa(const ScopedIsa&) = delete;
  ScopedIsa& operator=(const ScopedIsa&) = delete;

 private:
  Isa previous_;
};

}  // namespace skein
