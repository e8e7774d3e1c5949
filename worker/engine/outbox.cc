#include "worker/engine/outbox.h"

#include <utility>

namespace skein {

void Outbox::Start(std::shared_ptr<TokenSink> sink, StartInfo info) {
  messages_.push_back({std::move(sink), std::move(info)});
}

void Outbox::Write(std::shared_ptr<TokenSink> sink, OutputChunk chunk) {
  messages_.push_back({std::move(sink), std::move(chunk)});
}

void Outbox::End(std::shared_ptr<TokenSink> sink, absl::Status status, RequestUsage usage) {
  messages_.push_back({std::move(sink), Ending{std::move(status), usage}});
}

int Outbox::Deliver() {
  int ended = 0;
  for (Message& message : messages_) {
    if (const auto* const info = std::get_if<StartInfo>(&message.content)) {
      message.sink->Start(*info);
    } else if (auto* const chunk = std::get_if<OutputChunk>(&message.content)) {
      message.sink->Write(std::move(*chunk));
    } else {
      const Ending& ending = std::get<Ending>(message.content);
      message.sink->End(ending.status, ending.usage);
      ++ended;
    }
  }
  messages_.clear();
  return ended;
}

}  // namespace skein
