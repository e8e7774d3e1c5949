// The compute threads of the CPU backend.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/function_ref.h"

namespace skein {

// A fixed team of threads, the caller included. One caller at a time: Run is not reentrant.
// What a task computes must not depend on which thread runs it or on how the range was cut.
class ParallelFor {
 public:
  // `num_threads` >= 1; 0 takes one per core that the process may use.
  explicit ParallelFor(int num_threads = 0);
  ~ParallelFor();
  ParallelFor(const ParallelFor&) = delete;
  ParallelFor& operator=(const ParallelFor&) = delete;

  int num_threads() const;

  // Calls task(begin, end) for disjoint ranges that cover [0, count), each a multiple of `grain`
  // long but for the last, and returns when all have returned. `task` must not throw.
  void Run(int64_t count, int64_t grain, absl::FunctionRef<void(int64_t begin, int64_t end)> task);

 private:
  struct Team;
  std::unique_ptr<Team> team_;
};

}  // namespace skein
