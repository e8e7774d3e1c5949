// The running sequences in order of age, and the slots and pages that they hold.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/text/tokenizer.h"
#include "worker/engine/sequence.h"
#include "worker/memory/page_pool.h"
#include "worker/memory/state_pool.h"

namespace skein {

// Pages are taken for a whole prompt when it starts and one by one as output grows. When they run
// out, the youngest sequences give theirs up and are fed again later, from their tokens; their
// output does not change. So the oldest always goes on, and every request that could run alone
// ends. All branches of a sequence get memory together, or none does. Owned by the loop's thread.
class SequenceSet {
 public:
  SequenceSet(StatePool* states, PagePool* pages, const Tokenizer* tokenizer)
      : states_(*states), pages_(*pages), tokenizer_(tokenizer) {}
  // Gives back all memory; the pools must still live.
  ~SequenceSet() { Clear(); }

  // Starts `request` if its choices get slots and its prompt gets pages, for each branch; false,
  // with nothing changed, if they do not.
  bool Admit(ActiveRequest& request);
  // Makes room for the tokens that the next step feeds: growing sequences take pages, from the
  // youngest if need be, and then paused ones start again, oldest first.
  void MakeRoom();
  // Gives each further choice of the sequence's request a copy of it, and returns the copies in
  // order of choice. Those that get no page begin paused.
  std::vector<Sequence*> Fork(Sequence& sequence);
  // Removes finished sequences and all of ended requests.
  void RemoveFinished();
  void Clear();

  // Oldest first; a request's choices are neighbours. Valid until the set changes.
  std::span<Sequence* const> all() const { return order_; }
  bool empty() const { return order_.empty(); }
  int num_slots_held() const { return states_.num_slots() - states_.num_free(); }

 private:
  bool HasPaused() const;
  // One page for each branch that runs stays free when another sequence starts, or it would soon be
  // stopped again.
  bool CanStart(int64_t num_tokens, int branches) const;
  // Of all branches. False if too few pages are free; what was taken by then stays taken.
  bool Extend(Sequence& sequence, int64_t num_tokens);
  bool Grow(size_t index);
  void Resume(Sequence& sequence);
  // Into slots that hold zeros.
  void InstallStates(const Sequence& sequence);
  bool ForkPages(const Sequence& from, Sequence& to);
  void Pause(Sequence& sequence);
  void Release(Sequence& sequence);
  void ReleaseReserved(ActiveRequest& request);
  void Refresh();

  StatePool& states_;
  PagePool& pages_;
  const Tokenizer* const tokenizer_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::vector<Sequence*> order_;  // of sequences_
};

}  // namespace skein
