#include "gateway/access/token_estimate.h"

#include <algorithm>

namespace skein {
namespace {

constexpr uint64_t kBytesPerToken = 4;
constexpr uint64_t kUnstatedMaxTokens = 16;

uint64_t TokensOfBytes(uint64_t bytes) { return (bytes + kBytesPerToken - 1) / kBytesPerToken; }

}  // namespace

uint64_t EstimateTokens(const v1::Prompt& prompt) {
  if (prompt.has_tokens()) return prompt.tokens().ids_size();
  uint64_t bytes = prompt.text().size();
  for (const v1::ChatTurn& turn : prompt.chat().turns()) {
    bytes += turn.role().size() + turn.content().size();
  }
  return TokensOfBytes(bytes);
}

uint64_t EstimateTokens(const v1::GenerateRequest& request) {
  const uint64_t completion =
      request.stopping().has_max_tokens() ? request.stopping().max_tokens() : kUnstatedMaxTokens;
  return EstimateTokens(request.prompt()) + completion * std::max(1u, request.n());
}

void TokenMeter::OnMessage(const v1::GenerateResponse& message) {
  uint64_t more = message.started().prompt_tokens() + message.drawn();
  if (message.has_usage()) {
    const uint64_t total =
        uint64_t{message.usage().prompt_tokens()} + message.usage().completion_tokens();
    more = total > told_ ? total - told_ : 0;
  }
  if (more == 0) return;
  told_ += more;
  admission_.Use(more);
}

void TokenMeter::OnFailure(absl::StatusCode code) {
  if (code != absl::StatusCode::kCancelled && code != absl::StatusCode::kDeadlineExceeded) return;
  if (told_ == 0) admission_.Use(asked_);
}

}  // namespace skein
