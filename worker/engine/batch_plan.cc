#include "worker/engine/batch_plan.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

namespace skein {

namespace {

using AppliedAdapters = std::vector<AppliedAdapter>;

const AppliedAdapters& AdaptersOf(const Sequence& sequence) {
  return sequence.request->request.conditioning.adapters;
}

// Those without an adapter first, then those that can share a pass over the weights.
int PassOrder(const AppliedAdapters& adapters) {
  if (adapters.empty()) return 0;
  const bool replaces =
      std::any_of(adapters.begin(), adapters.end(),
                  [](const AppliedAdapter& one) { return one.adapter->replaces; });
  return replaces ? 2 : 1;
}

bool Before(const AppliedAdapters& a, const AppliedAdapters& b) {
  const int a_pass = PassOrder(a), b_pass = PassOrder(b);
  if (a_pass != b_pass) return a_pass < b_pass;
  return std::lexicographical_compare(
      a.begin(), a.end(), b.begin(), b.end(), [](const AppliedAdapter& x, const AppliedAdapter& y) {
        return std::tie(x.adapter, x.scale) < std::tie(y.adapter, y.scale);
      });
}

bool Same(const AppliedAdapters& a, const AppliedAdapters& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const AppliedAdapter& x, const AppliedAdapter& y) { return x.same(y); });
}

}  // namespace

BatchBuilder::BatchBuilder(int64_t vocab_size, std::vector<uint32_t> vocabulary)
    : mask_words_((vocab_size + 31) / 32), vocabulary_(std::move(vocabulary)) {}

const BatchPlan& BatchBuilder::Build(std::span<const PlannedRows> planned,
                                     std::span<Sequence* const> sequences) {
  Clear();
  SortByAdapter(planned, sequences);
  for (const PlannedRows& item : sorted_) {
    for (const SequenceMemory& branch : sequences[item.item]->branches) {
      plan_.max_pages = std::max(plan_.max_pages, static_cast<int64_t>(branch.pages.size()));
    }
  }
  for (const PlannedRows& item : sorted_) {
    BatchPlan::Entry entry{.sequence = sequences[item.item], .rows = item.rows};
    AddOutputs(entry);
    const auto first_branch = static_cast<int64_t>(plan_.slots.size());
    for (const SequenceMemory& branch : entry.sequence->branches) {
      AddRows(*entry.sequence, branch, item.rows);
    }
    AddAdapters(*entry.sequence, first_branch);
    AddFactors(entry.sequence->request->request.conditioning, first_branch);
    if (entry.sequence->num_branches() > 1) {
      plan_.mixture_rows += int64_t{item.rows} * entry.sequence->num_branches();
    }
    plan_.entries.push_back(entry);
  }
  for (BatchPlan::Entry& entry : plan_.entries) AddCopies(entry);
  return plan_;
}

void BatchBuilder::Clear() {
  plan_.entries.clear();
  plan_.tokens.clear();
  plan_.positions.clear();
  plan_.row_begin.assign(1, 0);
  plan_.slots.clear();
  plan_.pages.clear();
  plan_.max_pages = 0;
  plan_.max_rows = 0;
  plan_.logit_rows.clear();
  plan_.mix_begin.assign(1, 0);
  plan_.mix_rows.clear();
  plan_.mix_weights.clear();
  plan_.sampled_from.clear();
  plan_.samples.clear();
  plan_.penalty_begin.assign(1, 0);
  plan_.penalties.clear();
  plan_.bias_begin.assign(1, 0);
  plan_.biases.clear();
  plan_.banned_begin.assign(1, 0);
  plan_.banned.clear();
  plan_.masks.assign(vocabulary_.begin(), vocabulary_.end());
  plan_.mask_words = mask_words_;
  plan_.adapters.clear();
  plan_.factors.clear();
  plan_.mixture_rows = 0;
  plan_.adapter_rows = 0;
}

void BatchBuilder::SortByAdapter(std::span<const PlannedRows> planned,
                                 std::span<Sequence* const> sequences) {
  sorted_.assign(planned.begin(), planned.end());
  std::stable_sort(sorted_.begin(), sorted_.end(), [&](const PlannedRows& a, const PlannedRows& b) {
    return Before(AdaptersOf(*sequences[a.item]), AdaptersOf(*sequences[b.item]));
  });
}

// Of the branches from `first_branch` on, whose entry comes next.
void BatchBuilder::AddAdapters(const Sequence& sequence, int64_t first_branch) {
  const AppliedAdapters& adapters = AdaptersOf(sequence);
  if (adapters.empty()) return;
  const int64_t count = static_cast<int64_t>(plan_.slots.size()) - first_branch;
  plan_.adapter_rows += plan_.num_rows() - plan_.row_begin[first_branch];
  std::vector<AdapterRows>& all = plan_.adapters;
  if (!plan_.entries.empty() && Same(AdaptersOf(*plan_.entries.back().sequence), adapters)) {
    for (auto rows = all.end() - std::ssize(adapters); rows != all.end(); ++rows) {
      rows->num_sequences += count;
    }
    return;
  }
  for (const AppliedAdapter& one : adapters) {
    all.push_back({one.adapter.get(), first_branch, count, one.scale});
  }
}

void BatchBuilder::AddFactors(const Conditioning& conditioning, int64_t first_branch) {
  for (size_t i = 0; i < conditioning.branches.size(); ++i) {
    const InitialState* const state = conditioning.branches[i].state.get();
    if (state == nullptr || state->factors == nullptr) continue;
    plan_.factors.push_back({first_branch + static_cast<int64_t>(i), state->factors.get()});
  }
}

void BatchBuilder::AddRows(const Sequence& sequence, const SequenceMemory& branch, int rows) {
  for (int64_t position = sequence.num_fed; position < sequence.num_fed + rows; ++position) {
    plan_.tokens.push_back(sequence.tokens[position]);
    plan_.positions.push_back(static_cast<int32_t>(position));
  }
  plan_.row_begin.push_back(static_cast<int32_t>(plan_.tokens.size()));
  plan_.slots.push_back(branch.slot);
  plan_.max_rows = std::max<int64_t>(plan_.max_rows, rows);
  plan_.pages.insert(plan_.pages.end(), branch.pages.begin(), branch.pages.end());
  plan_.pages.resize(plan_.slots.size() * plan_.max_pages);
}

void BatchBuilder::AddOutputs(BatchPlan::Entry& entry) {
  const Sequence& sequence = *entry.sequence;
  const ActiveRequest& request = *sequence.request;
  const int first = static_cast<int>(plan_.samples.size());
  if (request.wants_prompt_scores()) {
    const int64_t end = std::min(sequence.num_fed + entry.rows, request.prompt_size() - 1);
    entry.first_score = first;
    entry.num_scores = static_cast<int>(std::max<int64_t>(end - sequence.num_fed, 0));
    for (int i = 0; i < entry.num_scores; ++i) {
      AddScore(sequence, sequence.tokens[sequence.num_fed + i + 1]);
    }
  }
  if (entry.rows == sequence.remaining() && request.request.stopping.max_tokens > 0) {
    entry.draw = static_cast<int>(plan_.samples.size());
    AddDraw(sequence, sequence.choice);
  }
  AddModelOutputs(entry, static_cast<int>(plan_.samples.size()) - first);
}

void BatchBuilder::AddModelOutputs(const BatchPlan::Entry& entry, int outputs) {
  const auto first = static_cast<int32_t>(plan_.logit_rows.size());
  for (int i = 0; i < outputs; ++i) plan_.sampled_from.push_back(first + i);
  int32_t row = plan_.row_begin.back();
  for (int branch = 0; branch < entry.sequence->num_branches(); ++branch, row += entry.rows) {
    for (int i = 0; i < entry.num_scores; ++i) plan_.logit_rows.push_back(row + i);
    if (entry.draw >= 0) plan_.logit_rows.push_back(row + entry.rows - 1);
  }
  const Conditioning& conditioning = entry.sequence->request->request.conditioning;
  if (conditioning.mixes()) AddMixing(conditioning, first, outputs);
}

void BatchBuilder::AddMixing(const Conditioning& conditioning, int32_t first, int outputs) {
  for (int i = 0; i < outputs; ++i) {
    int32_t row = first + i;
    for (const StateBranch& branch : conditioning.branches) {
      plan_.mix_rows.push_back(row);
      plan_.mix_weights.push_back(branch.weight);
      row += outputs;
    }
    plan_.mix_begin.push_back(static_cast<int32_t>(plan_.mix_rows.size()));
  }
}

void BatchBuilder::AddCopies(BatchPlan::Entry& entry) {
  const ActiveRequest& request = *entry.sequence->request;
  if (entry.draw < 0 || request.forked) return;
  entry.first_copy = static_cast<int>(plan_.samples.size());
  entry.num_copies = request.request.num_choices - 1;
  for (int choice = 1; choice <= entry.num_copies; ++choice) {
    plan_.sampled_from.push_back(plan_.sampled_from[entry.draw]);
    AddDraw(*entry.sequence, choice);
  }
}

void BatchBuilder::AddScore(const Sequence& sequence, int32_t next_token) {
  plan_.samples.push_back(
      {.given_token = next_token, .num_top = sequence.request->request.logprobs->top});
  CloseLists();
}

void BatchBuilder::AddDraw(const Sequence& sequence, int choice) {
  const GenerationRequest& request = sequence.request->request;
  const SamplingParams& params = request.sampling;
  const StoppingParams& stopping = request.stopping;
  plan_.samples.push_back({.temperature = params.temperature,
                           .top_p = params.top_p,
                           .min_p = params.min_p,
                           .top_k = params.top_k,
                           .presence_penalty = params.presence_penalty,
                           .frequency_penalty = params.frequency_penalty,
                           .repetition_penalty = params.repetition_penalty,
                           .order = params.order,
                           .seed = params.seed,
                           .step = static_cast<uint64_t>(sequence.num_drawn),
                           .choice = static_cast<uint32_t>(choice),
                           .mask = AddMask(sequence.request->mask),
                           .num_top = request.logprobs ? request.logprobs->top : 0,
                           .logprob = request.logprobs.has_value(),
                           .processed = request.logprobs && request.logprobs->processed});
  sequence.penalties.AppendTo(plan_.penalties);
  for (const auto& [token, bias] : params.logit_bias) plan_.biases.push_back({token, bias});
  plan_.banned.insert(plan_.banned.end(), params.banned_tokens.begin(), params.banned_tokens.end());
  if (stopping.ignore_eos || sequence.num_drawn < stopping.min_tokens) {
    plan_.banned.insert(plan_.banned.end(), stopping.end_tokens.begin(), stopping.end_tokens.end());
  }
  CloseLists();
}

void BatchBuilder::CloseLists() {
  plan_.penalty_begin.push_back(static_cast<int32_t>(plan_.penalties.size()));
  plan_.bias_begin.push_back(static_cast<int32_t>(plan_.biases.size()));
  plan_.banned_begin.push_back(static_cast<int32_t>(plan_.banned.size()));
}

int32_t BatchBuilder::AddMask(const std::vector<uint32_t>& mask) {
  if (mask.empty()) return vocabulary_.empty() ? -1 : 0;
  plan_.masks.insert(plan_.masks.end(), mask.begin(), mask.end());
  return static_cast<int32_t>(static_cast<int64_t>(plan_.masks.size()) / mask_words_ - 1);
}

}  // namespace skein
