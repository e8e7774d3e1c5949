// The worker's access line: one log line for each Generate and Score call, at its end. Nothing of
// prompts and answers.
#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "common/base/log.h"
#include "worker/engine/token_sink.h"
#include "worker/rpc/call_info.h"

namespace skein {

struct CallEnd {
  absl::string_view method;  // Generate or Score
  absl::string_view model;
  absl::Status status;
  RequestUsage usage;                  // zeros if the step loop did not take it
  std::optional<FinishReason> finish;  // of the last choice to end
};

// Writes the line, unless the call was begun with logging off.
void LogCall(const CallInfo& call, const CallEnd& end);
// What the line says besides its event.
LogFields CallLogFields(const CallInfo& call, const CallEnd& end);

}  // namespace skein
