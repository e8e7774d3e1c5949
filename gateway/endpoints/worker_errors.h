// A worker's errors in the words of the HTTP API.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace skein {

// A worker's message starts with the field of its own request that is at fault, as in
// "prompt.chat.turns: none, ...", or what was not found. Adds the field of the body that it came
// from as the error's param. `prompt_field` is "prompt" or "messages".
absl::Status FromWorker(absl::Status status, absl::string_view prompt_field);

// What WorkerPool::Pick returned: an unknown model gets the code that OpenAI's clients know.
absl::Status FromPick(absl::Status status);

}  // namespace skein
