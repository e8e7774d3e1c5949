#include "kernels/cpu/isa.h"

#include <atomic>
#include <cstdlib>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "common/base/check.h"

namespace skein {
namespace {

#if defined(__x86_64__)
// clang 14 has no name for it in __builtin_cpu_supports.
bool HasF16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
#endif

constexpr Isa kAll[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512};

bool Supported(Isa isa) {
  if (isa == Isa::kPortable) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && HasF16c();
  if (isa == Isa::kAvx2) return avx2;
  return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

Isa AtStart() {
  const char* wanted = std::getenv("SKEIN_CPU_ISA");
  if (wanted != nullptr) {
    for (const Isa isa : SupportedIsas()) {
      if (IsaName(isa) == wanted) return isa;
    }
  }
  return SupportedIsas().back();
}

std::atomic<Isa>& Active() {
  static std::atomic<Isa> active{AtStart()};
  return active;
}

}  // namespace

absl::string_view IsaName(Isa isa) {
  switch (isa) {
    case Isa::kPortable:
      return "portable";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "";
}

const std::vector<Isa>& SupportedIsas() {
  static const std::vector<Isa>& isas = *[] {
    auto* found = new std::vector<Isa>;
    for (const Isa isa : kAll) {
      if (Supported(isa)) found->push_back(isa);
    }
    return found;
  }();
  return isas;
}

Isa ActiveIsa() { return Active().load(std::memory_order_relaxed); }

ScopedIsa::ScopedIsa(Isa isa) : previous_(ActiveIsa()) {
  SKEIN_CHECK(Supported(isa));
  Active().store(isa);
}

ScopedIsa::~ScopedIsa() { Active().store(previous_); }

}  // namespace skein
