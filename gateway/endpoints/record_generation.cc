#include "gateway/endpoints/record_generation.h"

#include <algorithm>

#include "gateway/endpoints/reply_format.h"

namespace skein {

void RecordGeneration(const v1::GenerateResponse& message, AccessRecord& access) {
  if (!message.has_usage() && message.finish() == v1::FINISH_REASON_UNSPECIFIED) return;
  access.Update([&message](AccessFacts& facts) {
    facts.prompt_tokens += message.usage().prompt_tokens();
    facts.completion_tokens += message.usage().completion_tokens();
    if (message.has_usage()) {
      const absl::Duration wait = absl::Microseconds(message.usage().queue_us());
      facts.queue_wait = std::max(wait, facts.queue_wait.value_or(wait));
    }
    if (message.finish() != v1::FINISH_REASON_UNSPECIFIED) {
      facts.finish_reason = FinishName(message.finish());
    }
  });
}

}  // namespace skein
