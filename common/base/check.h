// SKEIN_CHECK(condition): aborts with the place when our own assumption is wrong. Never for input.
#pragma once

namespace skein {

[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace skein

#define SKEIN_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::skein::CheckFailed(__FILE__, __LINE__, #condition))
