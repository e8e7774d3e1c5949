// Which of the workers that could serve a request gets it: pure functions.
//
// A worker's load is the sequences that it runs and queues; what it may have is its bound,
//
//   bound = ceil(load_bound * mean * slots / mean slots),   load_bound 1.25,
//
// where the mean is over all workers that could serve, with the new request counted in. Workers
// with more slots so carry more. The rule:
//
//   1. the affine worker, if the request fits under its bound;
//   2. else a random other one, if the request fits under its bound;
//   3. else the first in the key's order that the request fits under the bound of;
//   4. else (a request of many choices) the one with the least load per slot.
//
// The key's order puts workers first that hold most of the states and adapters that the request
// names, and orders those by weighted rendezvous hashing; the affine worker is its first. A request
// without a key takes the less loaded of two random workers, both per slot, in place of 1 and 2.
// docs/adr/2026-11-23-affinity-under-a-load-bound.md says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace skein {

struct Candidate {
  uint64_t hash = 0;     // of its address
  double load = 0;       // sequences
  double slots = 1;      // sequences that it can run at once; above 0
  int num_resident = 0;  // of the states and adapters that the request names
};

enum class Choice { kAffine, kRandom, kBound };

struct ChosenWorker {
  size_t index = 0;
  Choice choice = Choice::kRandom;
};

struct ChoiceInput {
  std::optional<uint64_t> key;  // hash of the affinity key
  double sequences = 1;         // of the new request
  double load_bound = 1.25;     // at least 1
  uint64_t random = 0;          // 64 random bits
};

// Weighted rendezvous hashing: the worker with the largest weight takes the key, so each takes keys
// in proportion to its slots, and one that comes or goes moves only the keys that it takes or had.
double RendezvousWeight(uint64_t key, uint64_t worker_hash, double slots);

// Most sequences that a worker with `slots` may have, when `total_load` counts all workers and the
// new request and `total_slots` all workers.
double LoadBound(double load_bound, double total_load, double slots, double total_slots);

// `workers` is not empty.
ChosenWorker ChooseWorker(std::span<const Candidate> workers, const ChoiceInput& input);

}  // namespace skein
