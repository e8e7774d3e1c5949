#include "kernels/sample/distribution.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/sample/weight.h"

namespace skein {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kGreedyTemperature = 1e-5f;

// Rounding may put a logit one bin off and a bin's mass a little above its bound.
constexpr double kBinSlack = 1 + 1e-5;

// The largest value whose elements at or above it weigh `target` or more, in units of Weight; minus
// infinity if all together do not. Quickselect by mass: expected linear time.
template <typename Candidate>
float FindMassThreshold(std::vector<Candidate>& all, double target) {
  auto begin = all.begin(), end = all.end();
  uint64_t above = 0;  // mass of what is known to lie above [begin, end)
  while (begin != end) {
    const float a = begin->logit, b = (begin + (end - begin) / 2)->logit, c = (end - 1)->logit;
    const float pivot = std::max(std::min(a, b), std::min(std::max(a, b), c));
    const auto greater_end =
        std::partition(begin, end, [&](const Candidate& x) { return x.logit > pivot; });
    const auto equal_end =
        std::partition(greater_end, end, [&](const Candidate& x) { return x.logit == pivot; });
    uint64_t greater = 0, equal = 0;
    for (auto it = begin; it != greater_end; ++it) greater += it->mass;
    for (auto it = greater_end; it != equal_end; ++it) equal += it->mass;
    if (static_cast<double>(above + greater) >= target) {
      end = greater_end;
    } else if (static_cast<double>(above + greater + equal) >= target) {
      return pivot;
    } else {
      above += greater + equal;
      begin = equal_end;
    }
  }
  return kMinusInfinity;
}

// First bin up to which `count` logits lie; the last one if there are fewer.
int BinOfRank(const LogitBins& bins, int64_t count) {
  int64_t sum = 0;
  for (int bin = 0; bin < kBins - 1; ++bin) {
    sum += bins.count[bin];
    if (sum >= count) return bin;
  }
  return kBins - 1;
}

// First bin up to which the logits surely weigh `target` units; the last one if that is not certain
// before.
int BinOfMass(const LogitBins& bins, double target) {
  double sum = 0;
  for (int bin = 0; bin < kBins - 1; ++bin) {
    sum += static_cast<double>(bins.count[bin]) *
           std::exp(-(bin + 1) / static_cast<double>(kBinsPerUnit));
    if (sum >= target * kWeightUnit * kBinSlack) return bin;
  }
  return kBins - 1;
}

}  // namespace

void EditLogits(const SampleRow& row, const RowEdits& edits, std::span<float> logits) {
  for (const PenaltyEntry& entry : edits.penalties) {
    float& logit = logits[entry.token];
    if (!std::isfinite(logit)) continue;  // no penalty changes that
    // Bounded: what a penalty makes infinite must not look like a model that fails.
    if (entry.repeated) {
      logit = logit > 0 ? logit / row.repetition_penalty : logit * row.repetition_penalty;
      logit = std::min(logit, kLargest);
    }
    if (entry.counted) {
      logit -= row.presence_penalty + row.frequency_penalty * entry.count;
      logit = std::min(logit, kLargest);
    }
  }
  for (const BiasEntry& entry : edits.biases) logits[entry.token] += entry.bias;
  for (const int32_t token : edits.banned) logits[token] = kMinusInfinity;
  for (size_t word = 0; word < edits.mask.size(); ++word) {
    if (edits.mask[word] == ~uint32_t{0}) continue;
    const size_t end = std::min(logits.size(), (word + 1) * 32);
    for (size_t token = word * 32; token < end; ++token) {
      if (((edits.mask[word] >> (token % 32)) & 1) == 0) logits[token] = kMinusInfinity;
    }
  }
}

SampleOutcome Distribution::Build(const SampleRow& row, std::span<const float> logits) {
  const LogitMax found = FindMax(logits);
  if (found.has_nan || found.max == -kMinusInfinity) return SampleOutcome::kNotFinite;
  if (found.max == kMinusInfinity) return SampleOutcome::kNothingAllowed;
  logits_ = logits;
  max_ = found.max;
  if (row.temperature < kGreedyTemperature || row.top_k == 1 || row.top_p <= 0) {
    BuildGreedy();
    return SampleOutcome::kOk;
  }
  scale_ = 1 / row.temperature;
  z_scale_ = row.order == SamplingOrder::kHf ? scale_ : 1.0f;
  const float threshold = Threshold(row);
  whole_ = threshold == kMinusInfinity;
  if (whole_) {
    kept_ = logits_;
  } else {
    KeepAbove(threshold);
  }
  total_ = SumWeights(kept_, max_, scale_, &block_sums_);
  return SampleOutcome::kOk;
}

void Distribution::BuildGreedy() {
  whole_ = false;
  scale_ = 1;
  tokens_.assign(1, static_cast<int32_t>(FindFirst(logits_, max_)));
  kept_logits_.assign(1, max_);
  kept_ = kept_logits_;
  total_ = Weight(max_, max_, WeightRate(scale_));
  block_sums_.assign(1, total_);
}

float Distribution::Threshold(const SampleRow& row) {
  const bool top_k = row.top_k > 0 && row.top_k < static_cast<int64_t>(logits_.size());
  const bool top_p = row.top_p < 1;
  float threshold = kMinusInfinity;
  if (row.min_p > 0) threshold = static_cast<float>(max_ + std::log(double{row.min_p}) / z_scale_);
  if (!top_k && !top_p) return threshold;

  // The wanted threshold lies in the first bins: only what lies there is looked at closely.
  FindBins(logits_, max_, z_scale_, bins_);
  const bool renormalise = top_k && row.order == SamplingOrder::kHf;
  int last_bin = top_k ? BinOfRank(bins_, row.top_k) : kBins - 1;
  uint64_t mass = 0;
  if (top_p && !renormalise) {
    mass = SumWeights(logits_, max_, z_scale_, nullptr);
    // The filter whose bins end first has the larger threshold; the other one then cuts nothing
    // more.
    last_bin = std::min(last_bin, BinOfMass(bins_, row.top_p * static_cast<double>(mass)));
  }
  return std::max(threshold, SelectThreshold(row, last_bin, mass));
}

void Distribution::FindCandidates(int last_bin) {
  candidates_.clear();
  const int64_t size = static_cast<int64_t>(logits_.size());
  for (int64_t begin = 0; begin < size; begin += kScanBlock) {
    const int64_t end = std::min(begin + kScanBlock, size);
    const auto is_candidate = [&](uint8_t bin) { return bin <= last_bin; };
    if (std::none_of(&bins_.bin[begin], &bins_.bin[begin] + (end - begin), is_candidate)) continue;
    uint64_t weights[kScanBlock];
    WeightBlock(logits_, begin / kScanBlock, max_, z_scale_, weights);
    for (int64_t i = begin; i < end; ++i) {
      if (is_candidate(bins_.bin[i]) && logits_[i] > kMinusInfinity) {
        candidates_.push_back({logits_[i], weights[i - begin]});
      }
    }
  }
}

float Distribution::SelectThreshold(const SampleRow& row, int last_bin, uint64_t whole_mass) {
  FindCandidates(last_bin);
  float threshold = kMinusInfinity;
  if (row.top_k > 0 && row.top_k <= static_cast<int64_t>(candidates_.size())) {
    const auto kth = candidates_.begin() + (row.top_k - 1);
    std::nth_element(candidates_.begin(), kth, candidates_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
    threshold = kth->logit;
  }
  if (row.top_p >= 1) return threshold;
  if (whole_mass == 0) {  // order hf: the share is of what top-k left
    for (const Candidate& candidate : candidates_) {
      if (candidate.logit >= threshold) whole_mass += candidate.mass;
    }
  }
  const double target = row.top_p * static_cast<double>(whole_mass);
  return std::max(threshold, FindMassThreshold(candidates_, target));
}

void Distribution::KeepAbove(float threshold) {
  tokens_.clear();
  kept_logits_.clear();
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] < threshold) continue;
    tokens_.push_back(static_cast<int32_t>(i));
    kept_logits_.push_back(logits_[i]);
  }
  kept_ = kept_logits_;
}

int32_t Distribution::Draw(double u) const {
  const double target = u * static_cast<double>(total_);
  const auto exceeds = [&](uint64_t sum) { return static_cast<double>(sum) > target; };
  uint64_t running = 0;
  size_t block = 0;
  while (!exceeds(running + block_sums_[block])) running += block_sums_[block++];
  uint64_t weights[kScanBlock];
  WeightBlock(kept_, static_cast<int64_t>(block), max_, scale_, weights);
  int64_t i = 0;
  while (!exceeds(running + weights[i])) running += weights[i++];
  return TokenAt(static_cast<int64_t>(block) * kScanBlock + i);
}

double Distribution::Logarithm(float logit) const {
  return (double{logit} - max_) * scale_ - std::log(static_cast<double>(total_) * kWeightUnit);
}

float Distribution::LogProbability(int32_t token) const {
  const bool kept = whole_ || std::binary_search(tokens_.begin(), tokens_.end(), token);
  if (!kept || logits_[token] == kMinusInfinity) return kCutLogprob;
  return static_cast<float>(Logarithm(logits_[token]));
}

void Distribution::Top(int count, std::vector<RankedLogit>& top) const {
  FindTop(kept_, count, top);
  for (RankedLogit& entry : top) {
    entry.index = TokenAt(entry.index);
    entry.logit = LogProbability(entry.index);
  }
  const int64_t wanted = std::min<int64_t>(count, static_cast<int64_t>(logits_.size()));
  for (int32_t token = 0; static_cast<int64_t>(top.size()) < wanted; ++token) {
    if (!std::binary_search(tokens_.begin(), tokens_.end(), token)) {
      top.push_back({token, kCutLogprob});
    }
  }
}

std::vector<double> Distribution::Probabilities() const {
  std::vector<double> probabilities(logits_.size());
  for (size_t i = 0; i < kept_.size(); ++i) {
    probabilities[TokenAt(static_cast<int64_t>(i))] = std::exp(Logarithm(kept_[i]));
  }
  return probabilities;
}

int64_t Distribution::num_survivors() const {
  return std::count_if(kept_.begin(), kept_.end(),
                       [](float logit) { return logit > kMinusInfinity; });
}

}  // namespace skein
