#include "common/base/trace_context.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_format.h"

namespace skein {
namespace {

// Version, trace id, span id and flags, with hyphens between them.
constexpr size_t kVersion0Bytes = 55;
constexpr absl::string_view kInvalidVersion = "ff";
// The flags that have a meaning; others are for later versions and must not be passed on.
constexpr uint8_t kKnownFlags = 0x03;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool IsHex(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return HexDigit(c) >= 0; });
}

bool IsId(absl::string_view text) {
  return IsHex(text) && text.find_first_not_of('0') != absl::string_view::npos;
}

uint64_t NonZeroRandom() {
  thread_local std::mt19937_64 random{std::random_device{}() ^
                                      (uint64_t{std::random_device{}()} << 32)};
  uint64_t value = 0;
  while (value == 0) value = random();
  return value;
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(absl::string_view header) {
  if (header.size() < kVersion0Bytes) return std::nullopt;
  const absl::string_view version = header.substr(0, 2);
  const absl::string_view trace_id = header.substr(3, 32);
  const absl::string_view span_id = header.substr(36, 16);
  const absl::string_view flags = header.substr(53, 2);
  const bool separated = header[2] == '-' && header[35] == '-' && header[52] == '-';
  if (!separated || !IsHex(version) || version == kInvalidVersion) return std::nullopt;
  if (header.size() > kVersion0Bytes && (version == "00" || header[kVersion0Bytes] != '-')) {
    return std::nullopt;
  }
  if (!IsId(trace_id) || !IsId(span_id) || !IsHex(flags)) return std::nullopt;
  const int bits = HexDigit(flags[0]) * 16 + HexDigit(flags[1]);
  return TraceContext{.trace_id = std::string(trace_id),
                      .span_id = std::string(span_id),
                      .flags = static_cast<uint8_t>(bits & kKnownFlags)};
}

std::string FormatTraceparent(const TraceContext& trace) {
  return absl::StrFormat("00-%s-%s-%02x", trace.trace_id, trace.span_id, trace.flags);
}

TraceContext ContinueTrace(absl::string_view header) {
  TraceContext trace;
  if (std::optional<TraceContext> received = ParseTraceparent(header)) {
    trace = *std::move(received);
  } else {
    trace.trace_id = absl::StrFormat("%016x%016x", NonZeroRandom(), NonZeroRandom());
  }
  trace.span_id = absl::StrFormat("%016x", NonZeroRandom());
  return trace;
}

}  // namespace skein
