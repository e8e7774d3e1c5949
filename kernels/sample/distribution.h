// What one row draws from, once its logits are edited: truncation, draw, log-probabilities of one
// row on the CPU.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/sample/logit_scan.h"
#include "kernels/sample/sample.h"

namespace skein {

// Lists of one row.
struct RowEdits {
  std::span<const PenaltyEntry> penalties;
  std::span<const BiasEntry> biases;
  std::span<const int32_t> banned;
  std::span<const uint32_t> mask;  // empty: none
};

// Steps 2 to 5 of docs/sampling.md, section 1, in place.
void EditLogits(const SampleRow& row, const RowEdits& edits, std::span<float> logits);

// Steps 6 to 10. Reusable: buffers keep their capacity from row to row. Calls follow: Build, then
// any of the others while `logits` lives.
class Distribution {
 public:
  SampleOutcome Build(const SampleRow& row, std::span<const float> logits);

  // The token for a uniform number in [0, 1): the first in ascending order whose running sum
  // exceeds u times the total. Sums are of integers (kernels/sample/weight.h), so this token is the
  // same on every processor.
  int32_t Draw(double u) const;
  // Natural logarithm of the token's probability; kCutLogprob for one that was cut.
  float LogProbability(int32_t token) const;
  // The `count` likeliest tokens, ties by token; cut tokens follow when fewer survive.
  void Top(int count, std::vector<RankedLogit>& top) const;
  // Over the whole vocabulary, for tests.
  std::vector<double> Probabilities() const;
  int64_t num_survivors() const;

 private:
  void BuildGreedy();
  // The largest threshold of the filters that are on; minus infinity if none cuts anything.
  float Threshold(const SampleRow& row);
  // The candidates become all logits in bins up to `last_bin`.
  void FindCandidates(int last_bin);
  // Thresholds of top-k and top-p among these candidates. whole_mass: what top_p is a share of; 0
  // stands for the mass that top-k leaves.
  float SelectThreshold(const SampleRow& row, int last_bin, uint64_t whole_mass);
  void KeepAbove(float threshold);
  int32_t TokenAt(int64_t i) const { return whole_ ? static_cast<int32_t>(i) : tokens_[i]; }
  double Logarithm(float logit) const;

  std::span<const float> logits_;  // of the row
  std::span<const float> kept_;    // of the survivors, ascending by token: logits_ or kept_logits_
  bool whole_ = false;             // nothing was cut: position in kept_ is the token
  float max_ = 0;
  float scale_ = 1;     // 1 / temperature
  float z_scale_ = 1;   // what a logit is multiplied by before the filters
  uint64_t total_ = 0;  // weight of the survivors at this temperature
  std::vector<uint64_t> block_sums_;
  std::vector<int32_t> tokens_;
  std::vector<float> kept_logits_;

  LogitBins bins_;
  struct Candidate {
    float logit;
    uint64_t mass;
  };
  std::vector<Candidate> candidates_;
};

}  // namespace skein
