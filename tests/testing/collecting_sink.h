// A sink that keeps what it gets, and checks the order of its calls.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "worker/engine/token_sink.h"

namespace skein {

// Thread-safe.
class CollectingSink final : public TokenSink {
 public:
  struct Choice {
    std::string text;
    std::vector<TokenOutput> tokens;
    std::vector<size_t> text_after;  // bytes of text sent once each of `tokens` was
    std::optional<FinishReason> finish;
    std::string matched_stop;

    std::vector<int32_t> ids() const;
  };

  void Start(const StartInfo& info) override;
  void Write(OutputChunk chunk) override;
  void End(const absl::Status& status, const RequestUsage& usage) override;

  // False if `timeout` passed first.
  bool WaitEnd(absl::Duration timeout = absl::Seconds(20)) const;
  bool WaitTokens(size_t count,
                  absl::Duration timeout = absl::Seconds(20)) const;  // of choice 0, with logprobs

  // Copies of what came so far.
  std::optional<StartInfo> start() const;
  Choice choice(int index) const;
  size_t num_choices() const;
  absl::Status status() const;  // Unknown before the end
  RequestUsage usage() const;
  std::string misuse() const;  // empty, or the first call out of order

 private:
  void Check(bool condition, const char* what);

  mutable std::mutex mu_;
  mutable std::condition_variable changed_;
  // Guarded by mu_:
  std::optional<StartInfo> start_;
  std::map<int, Choice> choices_;
  std::optional<absl::Status> status_;
  RequestUsage usage_;
  std::string misuse_;
};

}  // namespace skein
