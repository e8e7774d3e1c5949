// How often, and how long ago, each token of a sequence has occurred (docs/sampling.md, section 3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"

#include "kernels/sample/sample.h"
#include "kernels/sample/sampling_params.h"

namespace skein {

// Plain values, copied when a sequence forks. Empty for ever if the parameters ask for no penalty.
class PenaltyTable {
 public:
  PenaltyTable() = default;
  // Counts the prompt as the parameters say.
  PenaltyTable(const SamplingParams& params, std::span<const int32_t> prompt);

  // A drawn token: all counts decay, its own grows by one.
  void Add(int32_t token);
  // One entry per token that has a penalty now, in order of first occurrence.
  void AppendTo(std::vector<PenaltyEntry>& entries) const;

  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    int32_t token = 0;
    bool counted = false;     // presence and frequency apply
    bool repeated = false;    // the repetition penalty applies
    double scaled_count = 0;  // count / scale_
  };

  Entry& Find(int32_t token);
  void Renormalise();

  bool active_ = false;
  double decay_ = 1;
  double scale_ = 1;  // decay to the power of the tokens drawn since the last renormalisation
  std::vector<Entry> entries_;
  absl::flat_hash_map<int32_t, int32_t> index_;  // token -> entry
  absl::flat_hash_set<int32_t> exempt_;
};

}  // namespace skein
