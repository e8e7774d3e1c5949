#include "kernels/adapter/mole_routing.h"

#include <algorithm>

#include "common/base/check.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/rows.h"

namespace skein {
namespace {

// Puts expert and score where it belongs among the first `count`, best first; the last one goes if
// there is no room. Later ones stand behind equal ones.
int64_t Insert(const ExpertChoice& candidate, int64_t count, int64_t room,
               std::span<ExpertChoice> best) {
  int64_t at = count;
  while (at > 0 && best[at - 1].weight < candidate.weight) --at;
  if (at == room) return count;
  const int64_t kept = std::min(count + 1, room);
  for (int64_t i = kept - 1; i > at; --i) best[i] = best[i - 1];
  best[at] = candidate;
  return kept;
}

// Scores become weights.
void Softmax(std::span<ExpertChoice> chosen) {
  float values[kMaxActiveExperts];
  const int64_t count = static_cast<int64_t>(chosen.size());
  for (int64_t i = 0; i < count; ++i) values[i] = chosen[i].weight - chosen[0].weight;
  SKEIN_ISA(ExpRow)(values, count, values);
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += values[i];
  for (int64_t i = 0; i < count; ++i) chosen[i].weight = values[i] / sum;
}

}  // namespace

int64_t ChooseExperts(const MoleExperts& experts, std::span<const float> scores,
                      std::span<ExpertChoice> choices) {
  SKEIN_CHECK(static_cast<int64_t>(choices.size()) >= experts.active &&
              experts.active <= kMaxActiveExperts);
  const bool first_rule = experts.rule == 1;
  const int64_t room = first_rule ? experts.active - 1 : experts.active;
  std::span<ExpertChoice> best = choices.subspan(first_rule ? 1 : 0);
  int64_t count = first_rule || room == 0 ? 0 : Insert({0, 0.0f}, 0, room, best);
  for (size_t i = 0; room > 0 && i < scores.size(); ++i) {
    const int64_t expert = static_cast<int64_t>(i) + (first_rule ? 0 : 1);
    count = Insert({expert, scores[i]}, count, room, best);
  }
  if (count > 0) Softmax(best.first(count));
  if (!first_rule) return count;
  choices[0] = {0, 1.0f};
  // The score of index 0 takes its share of the softmax, but chooses nobody.
  const auto end = std::remove_if(best.begin(), best.begin() + count,
                                  [](const ExpertChoice& choice) { return choice.expert == 0; });
  return 1 + (end - best.begin());
}

}  // namespace skein
