// What is known about a request when it ends, for its access line: filled in by whoever finds out.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"

namespace skein {

struct AccessFacts {
  std::string route = "other";  // the table's path
  bool is_probe = false;        // asked for by machines every few seconds: logged at debug level
  std::string key;              // the name of the API key
  std::string model;
  std::string worker;         // the address of the last one that was asked
  int64_t prompt_tokens = 0;  // both over all calls to workers
  int64_t completion_tokens = 0;
  std::string error;                          // the status code of a generation that failed
  std::string finish_reason;                  // of the last choice to end
  std::optional<absl::Duration> queue_wait;   // the longest of the calls, as workers say
  std::optional<absl::Duration> first_token;  // from the request's last byte to the first text
};

// Thread-safe. Shared by all copies of an HttpRequest.
class AccessRecord {
 public:
  void Update(absl::FunctionRef<void(AccessFacts&)> change) {
    const std::lock_guard<std::mutex> lock(mu_);
    change(facts_);
  }
  AccessFacts facts() const {
    const std::lock_guard<std::mutex> lock(mu_);
    return facts_;
  }

 private:
  mutable std::mutex mu_;
  AccessFacts facts_;  // guarded by mu_
};

}  // namespace skein
