#include "common/base/log.h"

#include <atomic>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace skein {
namespace {

constexpr absl::string_view kNames[] = {"debug", "info", "warning", "error"};

std::atomic<LogLevel> minimum_level{LogLevel::kInfo};

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (static_cast<unsigned char>(c) <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::Status SetLogLevel(absl::string_view name) {
  for (int i = 0; i < 4; ++i) {
    if (name == kNames[i]) {
      minimum_level = static_cast<LogLevel>(i);
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log_level: \"", name, "\", expected debug, info, warning or error"));
}

bool LogEnabled(LogLevel level) { return level >= minimum_level.load(std::memory_order_relaxed); }

std::string FormatLogLine(LogLevel level, absl::string_view event, const LogFields& fields) {
  std::string line = absl::StrCat("level=", kNames[static_cast<int>(level)], " event=\"",
                                  absl::Utf8SafeCEscape(event), "\"");
  for (const auto& [key, value] : fields) {
    if (NeedsQuotes(value)) {
      absl::StrAppend(&line, " ", key, "=\"", absl::Utf8SafeCEscape(value), "\"");
    } else {
      absl::StrAppend(&line, " ", key, "=", value);
    }
  }
  return line;
}

void Log(LogLevel level, absl::string_view event, const LogFields& fields) {
  if (!LogEnabled(level)) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line =
      absl::StrCat("time=", time, " ", FormatLogLine(level, event, fields), "\n");
  // One fwrite per line: stdio's own lock keeps lines whole.
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace skein
