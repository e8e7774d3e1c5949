#include "gateway/routing/worker_choice.h"

#include <cmath>
#include <utility>

#include "common/base/check.h"
#include "gateway/routing/stable_hash.h"

namespace skein {
namespace {

// Sums of doubles may miss a whole number by a little: 1.25 * 8 / 2 is 5, not 6.
constexpr double kRounding = 1e-9;

class Chooser {
 public:
  Chooser(std::span<const Candidate> workers, const ChoiceInput& input)
      : workers_(workers), input_(input), total_load_(input.sequences) {
    for (const Candidate& worker : workers_) {
      total_load_ += worker.load;
      total_slots_ += worker.slots;
    }
  }

  ChosenWorker Choose() const {
    const size_t first = input_.key ? FirstOfKey(/*within_bound=*/false) : RandomIndex(kNone);
    const size_t second = workers_.size() > 1 ? RandomIndex(first) : first;
    if (input_.key) {
      if (Fits(first)) return {first, Choice::kAffine};
      if (Fits(second)) return {second, Choice::kRandom};
    } else {
      const size_t lighter = LoadAfter(second) < LoadAfter(first) ? second : first;
      if (Fits(lighter)) return {lighter, Choice::kRandom};
    }
    const size_t within = FirstOfKey(/*within_bound=*/true);
    return {within != kNone ? within : Lightest(), Choice::kBound};
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // Per slot.
  double LoadAfter(size_t i) const {
    return (workers_[i].load + input_.sequences) / workers_[i].slots;
  }

  bool Fits(size_t i) const {
    const double bound = LoadBound(input_.load_bound, total_load_, workers_[i].slots, total_slots_);
    return workers_[i].load + input_.sequences <= bound + kRounding;
  }

  // Any but `without`. The low bits choose the second one, the high bits the first.
  size_t RandomIndex(size_t without) const {
    if (without == kNone) return (input_.random >> 32) % workers_.size();
    const size_t index = (input_.random & 0xffffffffu) % (workers_.size() - 1);
    return index < without ? index : index + 1;
  }

  // Without a key the order is a random one.
  size_t FirstOfKey(bool within_bound) const {
    const uint64_t key = input_.key.value_or(input_.random);
    size_t best = kNone;
    std::pair<int, double> best_rank;
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (within_bound && !Fits(i)) continue;
      const std::pair<int, double> rank = {
          workers_[i].num_resident, RendezvousWeight(key, workers_[i].hash, workers_[i].slots)};
      if (best != kNone && rank <= best_rank) continue;
      best = i;
      best_rank = rank;
    }
    return best;
  }

  size_t Lightest() const {
    size_t best = FirstOfKey(/*within_bound=*/false);  // among equals, the affine one
    for (size_t i = 0; i < workers_.size(); ++i) {
      if (LoadAfter(i) < LoadAfter(best)) best = i;
    }
    return best;
  }

  const std::span<const Candidate> workers_;
  const ChoiceInput& input_;
  double total_load_;
  double total_slots_ = 0;
};

}  // namespace

double RendezvousWeight(uint64_t key, uint64_t worker_hash, double slots) {
  // In (0, 1): the smaller, the sooner; the logarithm makes chances proportional to the slots.
  const uint64_t bits = MixBits(MixBits(key) ^ worker_hash) >> 11;
  const double uniform = (static_cast<double>(bits) + 0.5) * 0x1p-53;
  return slots / -std::log(uniform);
}

double LoadBound(double load_bound, double total_load, double slots, double total_slots) {
  return std::ceil(load_bound * total_load * slots / total_slots - kRounding);
}

ChosenWorker ChooseWorker(std::span<const Candidate> workers, const ChoiceInput& input) {
  SKEIN_CHECK(!workers.empty());
  return Chooser(workers, input).Choose();
}

}  // namespace skein
