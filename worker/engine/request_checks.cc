#include "worker/engine/request_checks.h"

#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "common/base/status_macros.h"
#include "worker/engine/refusal_reason.h"

namespace skein {
namespace {

// Of a state in either direction: no model's logits overflow.
constexpr int kMostWeight = 1000000;

absl::Status CheckAtLeast(absl::string_view field, int64_t value, int64_t least) {
  if (value >= least) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, ", expected at least ", least));
}

absl::Status CheckTokens(absl::string_view field, const std::vector<int32_t>& tokens,
                         int64_t vocab_size) {
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat(field, ": token ", token, ", expected 0 to ", vocab_size - 1));
    }
  }
  return absl::OkStatus();
}

std::vector<uint32_t> AllowedMask(const std::vector<int32_t>& allowed,
                                  const std::vector<uint32_t>& vocabulary, int64_t vocab_size) {
  std::vector<uint32_t> mask((vocab_size + 31) / 32);
  for (const int32_t token : allowed) mask[token / 32] |= uint32_t{1} << (token % 32);
  for (size_t word = 0; word < vocabulary.size(); ++word) mask[word] &= vocabulary[word];
  return mask;
}

absl::Status CheckWeights(const Conditioning& conditioning) {
  for (const StateBranch& branch : conditioning.branches) {
    if (std::isfinite(branch.weight) && std::abs(branch.weight) <= kMostWeight) continue;
    return absl::InvalidArgumentError(absl::StrCat("state weight: ", branch.weight, ", expected ",
                                                   -kMostWeight, " to ", kMostWeight));
  }
  return absl::OkStatus();
}

absl::Status TooLarge(absl::string_view message) {
  return WithReason(absl::InvalidArgumentError(message), "too_large");
}

}  // namespace

absl::Status CheckLimits(const EngineLimits& limits) {
  RETURN_IF_ERROR(CheckAtLeast("max_sequences", limits.max_sequences, 1));
  RETURN_IF_ERROR(CheckAtLeast("max_queue", limits.max_queue, 1));
  RETURN_IF_ERROR(CheckAtLeast("max_queue_tokens", limits.max_queue_tokens, 1));
  // One row for those that decode and one for those that are fed.
  RETURN_IF_ERROR(CheckAtLeast("max_rows_per_step", limits.max_rows_per_step, 2));
  RETURN_IF_ERROR(CheckAtLeast("prefill_chunk", limits.prefill_chunk, 1));
  return CheckAtLeast("page_tokens", limits.page_tokens, 1);
}

absl::Status CheckRequest(const GenerationRequest& request, int64_t vocab_size) {
  if (request.prompt.empty()) {
    return absl::InvalidArgumentError("prompt: empty, expected at least one token");
  }
  RETURN_IF_ERROR(CheckTokens("prompt", request.prompt, vocab_size));
  RETURN_IF_ERROR(request.sampling.Validate(vocab_size));
  RETURN_IF_ERROR(CheckTokens("stop_tokens", request.stopping.end_tokens, vocab_size));
  RETURN_IF_ERROR(CheckAtLeast("max_tokens", request.stopping.max_tokens, 0));
  RETURN_IF_ERROR(CheckAtLeast("n", request.num_choices, 1));
  if (request.logprobs && (request.logprobs->top < 0 || request.logprobs->top > kMaxTopLogprobs)) {
    return absl::InvalidArgumentError(
        absl::StrCat("logprobs: ", request.logprobs->top, ", expected 0 to ", kMaxTopLogprobs));
  }
  if (request.sink == nullptr) return absl::InvalidArgumentError("sink: none");
  RETURN_IF_ERROR(CheckWeights(request.conditioning));
  return CheckApplied(request.conditioning.adapters);
}

absl::Status CheckFits(const GenerationRequest& request, const RequestCapacity& capacity) {
  const int branches = request.conditioning.num_branches();
  if (branches > capacity.branches) {
    return TooLarge(absl::StrCat("states: a mixture of ", branches, ", this worker mixes at most ",
                                 capacity.branches));
  }
  if (int64_t{request.num_choices} * branches > capacity.slots) {
    const std::string each = branches > 1 ? absl::StrCat(" of ", branches, " states each") : "";
    return TooLarge(absl::StrCat("n: ", request.num_choices, " choices", each,
                                 ", this worker runs at most ", capacity.slots,
                                 branches > 1 ? " states" : ""));
  }
  const int64_t prompt_size = static_cast<int64_t>(request.prompt.size());
  if (request.stopping.max_tokens > capacity.tokens - prompt_size) {
    const std::string each = branches > 1 ? absl::StrCat(" for each of ", branches, " states") : "";
    return TooLarge(absl::StrCat("max_tokens: ", request.stopping.max_tokens,
                                 " beside a prompt of ", prompt_size,
                                 " tokens, this worker's memory holds ", capacity.tokens, each));
  }
  return absl::OkStatus();
}

std::vector<uint32_t> VocabularyMask(const Tokenizer* tokenizer, int64_t vocab_size) {
  if (tokenizer == nullptr) return {};
  std::vector<uint32_t> mask((vocab_size + 31) / 32);
  bool complete = true;
  for (int32_t id = 0; id < vocab_size; ++id) {
    const bool is_token = id < tokenizer->vocab_size() && tokenizer->IsToken(id);
    if (is_token) mask[id / 32] |= uint32_t{1} << (id % 32);
    complete = complete && is_token;
  }
  return complete ? std::vector<uint32_t>() : mask;
}

std::unique_ptr<ActiveRequest> Activate(GenerationRequest request,
                                        const std::vector<uint32_t>& vocabulary, int64_t vocab_size,
                                        absl::Time now) {
  auto active = std::make_unique<ActiveRequest>();
  active->request = std::move(request);
  const GenerationRequest& wanted = active->request;
  active->accepted = now;
  active->stop_matcher = MakeStopMatcher(wanted.stopping.stop);
  active->unfinished_choices = wanted.num_choices;
  active->forked = wanted.num_choices == 1;
  if (wanted.sampling.allowed_tokens) {
    active->mask = AllowedMask(*wanted.sampling.allowed_tokens, vocabulary, vocab_size);
  }
  if (wanted.logprobs && wanted.logprobs->prompt) {
    active->prompt.resize(wanted.prompt.size());
    active->prompt[0].token = wanted.prompt[0];
  }
  return active;
}

}  // namespace skein
