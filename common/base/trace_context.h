// W3C Trace Context: which trace a request belongs to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace skein {

struct TraceContext {
  std::string trace_id;  // 32 lower-case hexadecimal digits, not all zero
  std::string span_id;   // 16 of them
  uint8_t flags = 0;     // bit 0: sampled, bit 1: the trace id is random
};

// A traceparent header of version 00, or of a later one that begins like it. Nothing for everything
// else: other lengths, upper case, ids of zeros.
std::optional<TraceContext> ParseTraceparent(absl::string_view header);
// Version 00: `00-TRACE-SPAN-FLAGS`.
std::string FormatTraceparent(const TraceContext& trace);
// A new span in the trace that the header names; in a new trace, not sampled, if it names none.
// Thread-safe.
TraceContext ContinueTrace(absl::string_view header);

}  // namespace skein
