// One line per event on stderr, in one of the two forms of log_line.h.
//
//   LogInfo("model loaded", {{"model", name}, {"bytes", bytes}});
//
// Thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/base/log_line.h"

namespace skein {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// InvalidArgument unless `name` is debug, info, warning or error.
absl::Status SetLogLevel(absl::string_view name);
bool LogEnabled(LogLevel level);
// InvalidArgument unless `name` is text or json.
absl::Status SetLogFormat(absl::string_view name);

void Log(LogLevel level, absl::string_view event, const LogFields& fields = {});

inline void LogDebug(absl::string_view event, const LogFields& fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(absl::string_view event, const LogFields& fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarning(absl::string_view event, const LogFields& fields = {}) {
  Log(LogLevel::kWarning, event, fields);
}
inline void LogError(absl::string_view event, const LogFields& fields = {}) {
  Log(LogLevel::kError, event, fields);
}

// The line that Log would write for these, without its time and newline.
std::string FormatLogLine(LogLevel level, absl::string_view event, const LogFields& fields);

}  // namespace skein
