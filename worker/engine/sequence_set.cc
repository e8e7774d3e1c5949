#include "worker/engine/sequence_set.h"

#include <algorithm>
#include <utility>

namespace skein {

bool SequenceSet::Admit(ActiveRequest& request) {
  const GenerationRequest& wanted = request.request;
  const int branches = request.num_branches();
  if (HasPaused() || int64_t{wanted.num_choices} * branches > states_.num_free() ||
      !CanStart(request.prompt_size(), branches)) {
    return false;
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->request = &request;
  sequence->tokens = wanted.prompt;
  sequence->penalties = PenaltyTable(wanted.sampling, wanted.prompt);
  sequence->branches.resize(branches);
  for (SequenceMemory& branch : sequence->branches) branch.slot = *states_.Allocate();
  InstallStates(*sequence);
  Extend(*sequence, request.prompt_size());
  for (int i = branches; i < wanted.num_choices * branches; ++i) {
    request.reserved_slots.push_back(*states_.Allocate());
  }
  if (tokenizer_ != nullptr) {
    sequence->text.emplace(
        request.stop_matcher,
        TextAssembler::Options{.include_stop = wanted.stopping.include_stop,
                               .strip_leading_space = wanted.strip_leading_space});
  }
  sequences_.push_back(std::move(sequence));
  Refresh();
  return true;
}

void SequenceSet::MakeRoom() {
  for (size_t i = 0; i < order_.size(); ++i) {
    while (!order_[i]->paused && !Grow(i)) {
    }
  }
  for (Sequence* sequence : order_) {
    if (!sequence->paused) continue;
    if (!CanStart(sequence->num_tokens(), sequence->num_branches())) {
      return;  // a younger one must not slip past
    }
    Resume(*sequence);
  }
}

std::vector<Sequence*> SequenceSet::Fork(Sequence& sequence) {
  ActiveRequest& request = *sequence.request;
  std::vector<Sequence*> copies;
  auto position = std::find_if(sequences_.begin(), sequences_.end(),
                               [&](const auto& other) { return other.get() == &sequence; });
  auto slot = request.reserved_slots.begin();
  while (slot != request.reserved_slots.end()) {
    auto copy = std::make_unique<Sequence>(sequence);
    copies.push_back(copy.get());
    copy->choice = static_cast<int>(copies.size());
    for (int i = 0; i < sequence.num_branches(); ++i) {
      copy->branches[i] = {.slot = *slot++, .pages = {}};
      states_.Copy(sequence.branches[i].slot, copy->branches[i].slot);
    }
    if (!ForkPages(sequence, *copy)) Pause(*copy);
    position = sequences_.insert(position + 1, std::move(copy));
  }
  request.reserved_slots.clear();
  request.forked = true;
  Refresh();
  return copies;
}

void SequenceSet::RemoveFinished() {
  const auto is_done = [](const Sequence& sequence) {
    return sequence.finished || sequence.request->ended;
  };
  for (const auto& sequence : sequences_) {
    if (!is_done(*sequence)) continue;
    Release(*sequence);
    ReleaseReserved(*sequence->request);
  }
  std::erase_if(sequences_, [&](const auto& sequence) { return is_done(*sequence); });
  Refresh();
}

void SequenceSet::Clear() {
  for (const auto& sequence : sequences_) {
    Release(*sequence);
    ReleaseReserved(*sequence->request);
  }
  sequences_.clear();
  Refresh();
}

bool SequenceSet::HasPaused() const {
  return std::any_of(order_.begin(), order_.end(),
                     [](const Sequence* sequence) { return sequence->paused; });
}

bool SequenceSet::CanStart(int64_t num_tokens, int branches) const {
  if (pages_.layout().num_planes == 0) return true;
  int64_t running = 0;
  for (const Sequence* sequence : order_) {
    if (!sequence->paused) running += sequence->num_branches();
  }
  return branches * pages_.PagesFor(num_tokens) + running <= pages_.num_free();
}

bool SequenceSet::Extend(Sequence& sequence, int64_t num_tokens) {
  return std::all_of(
      sequence.branches.begin(), sequence.branches.end(),
      [&](SequenceMemory& branch) { return pages_.Extend(branch.pages, num_tokens); });
}

// False if a page was missing; what was forked by then is the copy's.
bool SequenceSet::ForkPages(const Sequence& from, Sequence& to) {
  for (int i = 0; i < from.num_branches(); ++i) {
    absl::StatusOr<PageList> pages = pages_.Fork(from.branches[i].pages, from.num_fed);
    if (!pages.ok()) return false;
    to.branches[i].pages = *std::move(pages);
  }
  return true;
}

// False if a sequence was stopped to make room, and it is worth trying again.
bool SequenceSet::Grow(size_t index) {
  Sequence& sequence = *order_[index];
  if (Extend(sequence, sequence.num_tokens())) return true;
  for (size_t i = order_.size() - 1; i > index; --i) {
    if (order_[i]->paused) continue;
    Pause(*order_[i]);
    return false;
  }
  Pause(sequence);
  return true;
}

void SequenceSet::Resume(Sequence& sequence) {
  Extend(sequence, sequence.num_tokens());
  for (const SequenceMemory& branch : sequence.branches) states_.Clear(branch.slot);
  InstallStates(sequence);
  sequence.paused = false;
}

void SequenceSet::InstallStates(const Sequence& sequence) {
  const std::vector<StateBranch>& wanted = sequence.request->request.conditioning.branches;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].state != nullptr) states_.Install(*wanted[i].state, sequence.branches[i].slot);
  }
}

void SequenceSet::Pause(Sequence& sequence) {
  for (SequenceMemory& branch : sequence.branches) pages_.Release(branch.pages);
  sequence.num_fed = 0;
  sequence.paused = true;
}

void SequenceSet::Release(Sequence& sequence) {
  for (SequenceMemory& branch : sequence.branches) {
    states_.Free(branch.slot);
    pages_.Release(branch.pages);
  }
}

void SequenceSet::ReleaseReserved(ActiveRequest& request) {
  for (const int32_t slot : request.reserved_slots) states_.Free(slot);
  request.reserved_slots.clear();
}

void SequenceSet::Refresh() {
  order_.clear();
  for (const auto& sequence : sequences_) order_.push_back(sequence.get());
}

}  // namespace skein
