#include "worker/rpc/output_buffer.h"

#include <utility>

namespace skein {

void OutputBuffer::AddStarted(v1::Started started, const std::string& echo, int num_choices) {
  *waiting_.emplace_back().message.mutable_started() = std::move(started);
  if (echo.empty()) return;
  for (int choice = 0; choice < num_choices; ++choice) {
    Waiting& waiting = waiting_.emplace_back();
    waiting.message.set_choice(choice);
    waiting.message.set_text(echo);
    waiting.bytes = echo.size();
  }
}

void OutputBuffer::AddChunk(v1::GenerateResponse chunk) {
  const size_t bytes = chunk.ByteSizeLong();
  Waiting* open = FindOpen(chunk.choice());
  if (open == nullptr) {
    waiting_.push_back({std::move(chunk), bytes});
    return;
  }
  open->bytes += bytes;
  v1::GenerateResponse& message = open->message;
  message.set_drawn(message.drawn() + chunk.drawn());
  message.mutable_text()->append(chunk.text());
  for (v1::TokenInfo& token : *chunk.mutable_tokens()) message.add_tokens()->Swap(&token);
  if (chunk.finish() != v1::FINISH_REASON_UNSPECIFIED) message.set_finish(chunk.finish());
  if (!chunk.matched_stop().empty()) message.set_matched_stop(chunk.matched_stop());
}

void OutputBuffer::AddUsage(v1::Usage usage) {
  *waiting_.emplace_back().message.mutable_usage() = std::move(usage);
}

v1::GenerateResponse OutputBuffer::Take() {
  v1::GenerateResponse message = std::move(waiting_.front().message);
  waiting_.pop_front();
  return message;
}

OutputBuffer::Waiting* OutputBuffer::FindOpen(uint32_t choice) {
  for (auto it = waiting_.rbegin(); it != waiting_.rend(); ++it) {
    const v1::GenerateResponse& message = it->message;
    if (message.choice() != choice || message.has_started() || message.has_usage()) continue;
    return it->bytes < kFullBytes ? &*it : nullptr;
  }
  return nullptr;
}

}  // namespace skein
