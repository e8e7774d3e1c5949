// A model for the scripted worker: its text is the alphabet, and its steps take as long as asked.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"

#include "common/text/model_text.h"
#include "worker/models/model.h"

namespace skein {

struct ScriptedModelOptions {
  absl::Duration step_time = absl::Milliseconds(20);  // of each step, whatever its batch
  absl::Duration row_time;                            // on top, for each row
  uint32_t stall_after = 0;  // this many steps come back, the next one never; 0: all do
  uint32_t fail_after = 0;   // this many steps succeed, the next one fails; 0: all do
};

// FakeModel over ByteTokenizer. After n tokens it wants 'a' + n % 26 by far, and never ends by
// itself: the greedy answer to "abc", which are four tokens, is "efgh...".
std::unique_ptr<Model> MakeScriptedModel(const ScriptedModelOptions& options);

// ByteTokenizer and chatml.
ModelText ScriptedText();

}  // namespace skein
