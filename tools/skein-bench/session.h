// What decode and prefill do before they measure: load, check the model's zeros, know the ceilings.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>

#include "absl/status/statusor.h"

#include "tools/skein-bench/bench_options.h"
#include "tools/skein-bench/engine.h"
#include "tools/skein-bench/hidden_zeros.h"
#include "tools/skein-bench/report.h"

namespace skein::bench {

struct SessionSize {
  int64_t sequences = 1;
  int64_t tokens = 1;    // of each, with its context
  int64_t max_rows = 0;  // of one step; 0: what the largest batch needs
};

// Rows of the largest step of a session for so many sequences, unless SessionSize says otherwise.
int64_t SessionRows(int64_t sequences);

class Session {
 public:
  // Prints what it found to `out`, which must outlive the session. DataLoss if the model's hidden
  // units are not as zero as asked for.
  static absl::StatusOr<Session> Open(const BenchOptions& options, const SessionSize& size,
                                      std::ostream& out);

  Engine& engine() const { return *engine_; }
  Report& report() { return *report_; }
  const HiddenZeros& zeros() const { return zeros_; }
  const Ceilings& ceilings() const { return ceilings_; }

 private:
  Session() = default;

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Report> report_;
  HiddenZeros zeros_;
  Ceilings ceilings_;
};

}  // namespace skein::bench
