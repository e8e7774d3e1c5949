// What requests are to be told, held back until the next step runs: messages to clients take their
// time, and a GPU need not wait for it.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "absl/status/status.h"

#include "worker/engine/token_sink.h"

namespace skein {

// Owned by the loop's thread.
class Outbox {
 public:
  void Start(std::shared_ptr<TokenSink> sink, StartInfo info);
  void Write(std::shared_ptr<TokenSink> sink, OutputChunk chunk);
  void End(std::shared_ptr<TokenSink> sink, absl::Status status, RequestUsage usage);

  // Calls the sinks in the order in which the above were called. Returns how many Ends were among
  // them.
  int Deliver();

 private:
  struct Ending {
    absl::Status status;
    RequestUsage usage;
  };
  struct Message {
    std::shared_ptr<TokenSink> sink;
    std::variant<StartInfo, OutputChunk, Ending> content;
  };

  std::vector<Message> messages_;
};

}  // namespace skein
