// The line that shows how far a model is loaded: one that updates itself on a terminal, else a log
// line per 10%.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace skein {

// Not thread-safe. Calls follow: Update* Finish.
class LoadProgress {
 public:
  // Writes to `out`, which stays open; `terminal` says what it is.
  LoadProgress(std::string model, std::FILE* out, bool terminal, const Clock& clock);

  void Update(int64_t bytes_done, int64_t bytes_total);
  // Closes the line of a terminal.
  void Finish();

 private:
  void Draw(int64_t bytes_done, int64_t bytes_total, int percent);

  const std::string model_;
  std::FILE* const out_;
  const bool terminal_;
  const Clock& clock_;
  int last_percent_ = -1;
  absl::Time last_drawn_ = absl::InfinitePast();
  bool line_open_ = false;
};

}  // namespace skein
