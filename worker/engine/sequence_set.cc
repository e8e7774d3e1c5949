#include "worker/engine/sequence_set.h"

#include <algorithm>
#include <utility>

namespace skein {

bool SequenceSet::Admit(ActiveRequest& request) {
  const GenerationRequest& wanted = request.request;
  if (HasPaused() || wanted.num_choices > states_.num_free() || !CanStart(request.prompt_size())) {
    return false;
  }
  auto sequence = std::make_unique<Sequence>();
  sequence->request = &request;
  sequence->tokens = wanted.prompt;
  sequence->penalties = PenaltyTable(wanted.sampling, wanted.prompt);
  sequence->memory.slot = *states_.Allocate();
  InstallStart(*sequence);
  pages_.Extend(sequence->memory.pages, request.prompt_size());
  for (int choice = 1; choice < wanted.num_choices; ++choice) {
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
    if (!CanStart(sequence->num_tokens())) return;  // a younger one must not slip past
    Resume(*sequence);
  }
}

std::vector<Sequence*> SequenceSet::Fork(Sequence& sequence) {
  ActiveRequest& request = *sequence.request;
  std::vector<Sequence*> copies;
  auto position = std::find_if(sequences_.begin(), sequences_.end(),
                               [&](const auto& other) { return other.get() == &sequence; });
  for (const int32_t slot : request.reserved_slots) {
    auto copy = std::make_unique<Sequence>(sequence);
    copies.push_back(copy.get());
    copy->choice = static_cast<int>(copies.size());
    copy->memory.slot = slot;
    states_.Copy(sequence.memory.slot, slot);
    absl::StatusOr<PageList> pages = pages_.Fork(sequence.memory.pages, sequence.num_fed);
    if (pages.ok()) {
      copy->memory.pages = *std::move(pages);
    } else {
      copy->memory.pages.clear();  // the parent's: this copy holds no reference to them
      Pause(*copy);
    }
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

bool SequenceSet::CanStart(int64_t num_tokens) const {
  if (pages_.layout().num_planes == 0) return true;
  const int64_t running = std::count_if(order_.begin(), order_.end(),
                                        [](const Sequence* sequence) { return !sequence->paused; });
  return pages_.PagesFor(num_tokens) + running <= pages_.num_free();
}

// False if a sequence was stopped to make room, and it is worth trying again.
bool SequenceSet::Grow(size_t index) {
  Sequence& sequence = *order_[index];
  if (pages_.Extend(sequence.memory.pages, sequence.num_tokens())) return true;
  for (size_t i = order_.size() - 1; i > index; --i) {
    if (order_[i]->paused) continue;
    Pause(*order_[i]);
    return false;
  }
  Pause(sequence);
  return true;
}

void SequenceSet::Resume(Sequence& sequence) {
  pages_.Extend(sequence.memory.pages, sequence.num_tokens());
  states_.Clear(sequence.memory.slot);
  InstallStart(sequence);
  sequence.paused = false;
}

// Into a slot that holds zeros.
void SequenceSet::InstallStart(const Sequence& sequence) {
  const std::vector<StateBranch>& branches = sequence.request->request.conditioning.branches;
  if (branches.empty() || branches[0].state == nullptr) return;
  states_.Install(*branches[0].state, sequence.memory.slot);
}

void SequenceSet::Pause(Sequence& sequence) {
  pages_.Release(sequence.memory.pages);
  sequence.num_fed = 0;
  sequence.paused = true;
}

void SequenceSet::Release(Sequence& sequence) {
  states_.Free(sequence.memory.slot);
  pages_.Release(sequence.memory.pages);
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
