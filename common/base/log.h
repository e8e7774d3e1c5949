// One line per event on stderr: `time level event key=value ...`.
//
//   LogInfo("model loaded", {{"model", name}, {"bytes", absl::StrCat(bytes)}});
//
// Values with blanks, quotes, '=' or control characters are quoted and escaped. Thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

using LogFields = std::vector<std::pair<absl::string_view, std::string>>;

// InvalidArgument unless `name` is debug, info, warning or error.
absl::Status SetLogLevel(absl::string_view name);
bool LogEnabled(LogLevel level);

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
