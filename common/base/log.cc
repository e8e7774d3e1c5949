#include "common/base/log.h"

#include <atomic>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace skein {
namespace {

constexpr absl::string_view kNames[] = {"debug", "info", "warning", "error"};

std::atomic<LogLevel> minimum_level{LogLevel::kInfo};
std::atomic<bool> json{false};

std::string Format(absl::string_view time, LogLevel level, absl::string_view event,
                   const LogFields& fields) {
  const absl::string_view name = kNames[static_cast<int>(level)];
  return json.load(std::memory_order_relaxed) ? JsonLogLine(time, name, event, fields)
                                              : TextLogLine(time, name, event, fields);
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

absl::Status SetLogFormat(absl::string_view name) {
  if (name != "text" && name != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("log_format: \"", name, "\", expected text or json"));
  }
  json = name == "json";
  return absl::OkStatus();
}

std::string FormatLogLine(LogLevel level, absl::string_view event, const LogFields& fields) {
  return Format("", level, event, fields);
}

void Log(LogLevel level, absl::string_view event, const LogFields& fields) {
  if (!LogEnabled(level)) return;
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line = Format(time, level, event, fields) + "\n";
  // One fwrite per line: stdio's own lock keeps lines whole.
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace skein
