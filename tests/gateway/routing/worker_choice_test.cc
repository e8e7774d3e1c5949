#include "gateway/routing/worker_choice.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "gateway/routing/stable_hash.h"

namespace skein {
namespace {

constexpr uint64_t kKey = 12345;

std::vector<Candidate> Workers(const std::vector<double>& loads) {
  std::vector<Candidate> workers;
  for (size_t i = 0; i < loads.size(); ++i) {
    workers.push_back({.hash = StableHash(absl::StrCat("worker-", i)), .load = loads[i]});
  }
  return workers;
}

ChoiceInput Input(std::optional<uint64_t> key, uint64_t random = 0, double sequences = 1) {
  return {.key = key, .sequences = sequences, .load_bound = 1.25, .random = random};
}

// The workers in the key's order.
std::vector<size_t> OrderOf(uint64_t key, const std::vector<Candidate>& workers) {
  std::multimap<double, size_t, std::greater<>> order;
  for (size_t i = 0; i < workers.size(); ++i) {
    order.emplace(RendezvousWeight(key, workers[i].hash, workers[i].slots), i);
  }
  std::vector<size_t> indices;
  for (const auto& [weight, index] : order) indices.push_back(index);
  return indices;
}

TEST(WorkerChoiceTest, TheBoundIsTheCeilingOfItsShare) {
  struct Case {
    const char* name;
    double total_load, slots, total_slots, bound;
  };
  for (const Case& c : {Case{"idle", 1, 1, 4, 1}, Case{"two on four", 2, 1, 4, 1},
                        Case{"mean 1", 4, 1, 4, 2}, Case{"mean 4: no rounding", 16, 1, 4, 5},
                        Case{"mean 40", 160, 64, 256, 50}, Case{"twice the slots", 12, 2, 3, 10},
                        Case{"half the slots", 12, 1, 3, 5}, Case{"alone", 7, 8, 8, 9}}) {
    EXPECT_EQ(LoadBound(1.25, c.total_load, c.slots, c.total_slots), c.bound) << c.name;
  }
}

TEST(WorkerChoiceTest, TakesTheAffineWorkerUntilItsBoundThenOthers) {
  // In the key's order: what the workers have, and which of them, in that order, is taken how.
  struct Case {
    const char* name;
    std::vector<double> loads;
    double sequences;
    size_t place;
    Choice choice;
  };
  for (const Case& c : {
           Case{"idle", {0, 0, 0, 0}, 1, 0, Choice::kAffine},
           Case{"under its bound", {4, 4, 4, 3}, 1, 0, Choice::kAffine},
           Case{"alone", {9}, 1, 0, Choice::kAffine},
           Case{"others are over theirs", {5, 0, 5, 5}, 1, 1, Choice::kBound},
           Case{"many choices fit nowhere", {0, 0}, 16, 0, Choice::kBound},
           Case{"many choices, the lightest", {2, 1, 3}, 16, 1, Choice::kBound},
       }) {
    std::vector<Candidate> workers = Workers(c.loads);
    const std::vector<size_t> order = OrderOf(kKey, workers);
    for (size_t place = 0; place < order.size(); ++place) {
      workers[order[place]].load = c.loads[place];
    }
    const bool want_random_over =
        c.choice == Choice::kBound && c.sequences == 1;  // the random one must not fit either
    for (uint64_t random = 0; random < 8; ++random) {
      const ChosenWorker chosen = ChooseWorker(workers, Input(kKey, random, c.sequences));
      if (want_random_over && chosen.choice == Choice::kRandom) {
        EXPECT_EQ(chosen.index, order[c.place]) << c.name;  // the one that fits, met by chance
        continue;
      }
      EXPECT_EQ(chosen.index, order[c.place]) << c.name;
      EXPECT_EQ(chosen.choice, c.choice) << c.name;
    }
  }
}

TEST(WorkerChoiceTest, AnOverloadedAffineWorkerGivesWayToARandomOne) {
  std::vector<Candidate> workers = Workers({2, 2, 2, 2});
  const size_t affine = OrderOf(kKey, workers)[0];
  workers[affine].load = 6;  // the bound is ceil(1.25 * 13 / 4) = 5
  std::map<size_t, int> taken;
  for (uint64_t random = 0; random < 300; ++random) {
    const ChosenWorker chosen = ChooseWorker(workers, Input(kKey, random));
    EXPECT_EQ(chosen.choice, Choice::kRandom);
    ++taken[chosen.index];
  }
  EXPECT_EQ(taken.count(affine), 0u);
  EXPECT_EQ(taken.size(), 3u);
  for (const auto& [index, count] : taken) EXPECT_EQ(count, 100);
}

TEST(WorkerChoiceTest, WithoutAKeyTheLighterOfTwoRandomOnesIsTaken) {
  const std::vector<Candidate> workers = Workers({10, 10, 0});
  int lightest = 0;
  for (uint64_t first = 0; first < 3; ++first) {
    for (uint64_t second = 0; second < 2; ++second) {
      const ChosenWorker chosen =
          ChooseWorker(workers, Input(std::nullopt, (first << 32) | second));
      if (chosen.index == 2) ++lightest;
    }
  }
  EXPECT_EQ(lightest, 6);  // met in 4 of 6; in the others both are over their bound
}

TEST(WorkerChoiceTest, WorkersThatHoldWhatIsNamedComeFirst) {
  std::vector<Candidate> workers = Workers({0, 0, 0, 0});
  const std::vector<size_t> order = OrderOf(kKey, workers);
  workers[order[3]].num_resident = 1;
  EXPECT_EQ(ChooseWorker(workers, Input(kKey)).index, order[3]);
  workers[order[1]].num_resident = 2;
  EXPECT_EQ(ChooseWorker(workers, Input(kKey)).index, order[1]);
  for (Candidate& worker : workers) worker.num_resident = 2;
  EXPECT_EQ(ChooseWorker(workers, Input(kKey)).index, order[0]);
}

TEST(WorkerChoiceTest, KeysSpreadInProportionToSlots) {
  std::vector<Candidate> workers = Workers({0, 0, 0});
  workers[1].slots = 2;
  std::map<size_t, int> keys;
  constexpr int kKeys = 8000;
  for (uint64_t key = 0; key < kKeys; ++key) ++keys[OrderOf(key, workers)[0]];
  EXPECT_NEAR(keys[0], kKeys / 4, 150);
  EXPECT_NEAR(keys[1], kKeys / 2, 150);
  EXPECT_NEAR(keys[2], kKeys / 4, 150);
}

TEST(WorkerChoiceTest, AWorkerThatGoesMovesItsOwnKeysOnly) {
  const std::vector<Candidate> all = Workers({0, 0, 0, 0, 0});
  const std::vector<Candidate> fewer(all.begin(), all.end() - 1);
  int moved = 0;
  for (uint64_t key = 0; key < 1000; ++key) {
    const size_t before = OrderOf(key, all)[0];
    const size_t after = OrderOf(key, fewer)[0];
    if (before == 4) {
      ++moved;
    } else {
      EXPECT_EQ(after, before);
    }
  }
  EXPECT_NEAR(moved, 200, 50);
}

}  // namespace
}  // namespace skein
