// Memory for the requests of gRPC clients: a request is read when there is room for the largest
// one, and then holds what it really has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "absl/status/status.h"

namespace skein {

// Who wants to read a request.
class Uploader {
 public:
  virtual ~Uploader() = default;
  // Once, on any thread: there is room. True takes `request_bytes`, which then go back with Return.
  // False if the call has ended meanwhile.
  virtual bool OnTurn() = 0;
};

// Thread-safe.
class UploadBudget {
 public:
  struct Rules {
    uint64_t total_bytes = 0;
    uint64_t request_bytes = 0;  // the largest request; at most total_bytes
    uint64_t caller_bytes = 0;   // of one caller, at least request_bytes; 0: no limit
    size_t max_waiting = 0;
  };
  explicit UploadBudget(const Rules& rules) : rules_(rules) {}

  // `uploader` has its turn now or when others have returned enough, in the order in which they
  // ask; callers that have their share let others pass. ResourceExhausted if too many wait. An
  // empty `caller` stands for everybody and has no share of its own.
  absl::Status Ask(const std::string& caller, const std::shared_ptr<Uploader>& uploader);
  // Gives the next ones their turn. Not to be called with a lock that OnTurn takes.
  void Return(const std::string& caller, uint64_t bytes);

  const Rules& rules() const { return rules_; }
  uint64_t taken_bytes() const;

 private:
  struct Waiting {
    std::string caller;
    std::weak_ptr<Uploader> uploader;
  };

  bool TakeLocked(const std::string& caller);
  void ReturnLocked(const std::string& caller, uint64_t bytes);
  // Gives turns until nobody who waits fits.
  void GiveTurns();

  const Rules rules_;
  mutable std::mutex mu_;
  // Guarded by mu_.
  uint64_t taken_bytes_ = 0;
  std::unordered_map<std::string, uint64_t> taken_by_;  // callers with a name
  std::deque<Waiting> waiting_;                         // may hold some that have ended
};

}  // namespace skein
