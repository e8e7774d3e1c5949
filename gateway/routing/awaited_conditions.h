// What waits for the workers to show something: that a model is ready, say, or a list current.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "absl/time/time.h"

namespace skein {

// Thread-safe. Conditions and callbacks run on the thread that calls Poll, without a lock.
class AwaitedConditions {
 public:
  using Condition = std::function<bool()>;
  using Done = std::function<void(bool met)>;

  // `done` runs once: when a Poll finds `condition` met, or `deadline` past.
  void Add(Condition condition, absl::Time deadline, Done done);
  // Returns the earliest deadline of what still waits.
  absl::Time Poll(absl::Time now);

 private:
  struct Awaited {
    Condition condition;
    absl::Time deadline;
    Done done;
  };

  std::mutex mu_;
  std::vector<Awaited> awaited_;  // guarded by mu_
};

}  // namespace skein
