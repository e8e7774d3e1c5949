#include "kernels/sample/penalty_table.h"

namespace skein {

PenaltyTable::PenaltyTable(const SamplingParams& params, std::span<const int32_t> prompt)
    : active_(params.presence_penalty != 0 || params.frequency_penalty != 0 ||
              params.repetition_penalty != 1),
      decay_(params.penalty_decay),
      exempt_(params.penalty_exempt_tokens.begin(), params.penalty_exempt_tokens.end()) {
  const bool counted = params.prompt_penalty_weight > 0;
  const bool repeated = !params.repetition_output_only && params.repetition_penalty != 1;
  if (!active_ || (!counted && !repeated)) return;
  for (const int32_t token : prompt) {
    if (exempt_.contains(token)) continue;
    Entry& entry = Find(token);
    entry.counted |= counted;
    entry.repeated |= repeated;
    entry.scaled_count += params.prompt_penalty_weight;
  }
}

void PenaltyTable::Add(int32_t token) {
  if (!active_) return;
  scale_ *= decay_;
  if (scale_ < 1e-30) Renormalise();
  if (exempt_.contains(token)) return;
  Entry& entry = Find(token);
  entry.counted = true;
  entry.repeated = true;
  entry.scaled_count += 1 / scale_;
}

void PenaltyTable::AppendTo(std::vector<PenaltyEntry>& entries) const {
  for (const Entry& entry : entries_) {
    entries.push_back({.token = entry.token,
                       .count = static_cast<float>(entry.scaled_count * scale_),
                       .counted = entry.counted,
                       .repeated = entry.repeated});
  }
}

PenaltyTable::Entry& PenaltyTable::Find(int32_t token) {
  const auto [it, inserted] = index_.try_emplace(token, static_cast<int32_t>(entries_.size()));
  if (inserted) entries_.push_back({.token = token});
  return entries_[it->second];
}

void PenaltyTable::Renormalise() {
  for (Entry& entry : entries_) entry.scaled_count *= scale_;
  scale_ = 1;
}

}  // namespace skein
