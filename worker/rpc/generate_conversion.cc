#include "worker/rpc/generate_conversion.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "worker/rpc/conditioning_conversion.h"
#include "worker/rpc/prompt_conversion.h"

namespace skein {
namespace {

absl::Status OutOfRange(absl::string_view field, int64_t value, int64_t least, int64_t most) {
  return absl::InvalidArgumentError(
      absl::StrCat(field, ": ", value, ", expected ", least, " to ", most));
}

absl::Status CheckReserved(const v1::GenerateRequest& request) {
  if (request.priority() != 0) {
    return absl::UnimplementedError("priority: not supported, expected 0");
  }
  if (!request.from_session().empty()) {
    return absl::UnimplementedError("from_session: sessions are not supported");
  }
  if (!request.save_session().empty()) {
    return absl::UnimplementedError("save_session: sessions are not supported");
  }
  return absl::OkStatus();
}

absl::StatusOr<SamplingOrder> ConvertOrder(v1::SamplingOrder order, const ModelProfile& model) {
  switch (order) {
    case v1::SAMPLING_ORDER_UNSPECIFIED:
      return model.description.architecture == "hybrid" ? SamplingOrder::kHf : SamplingOrder::kRwkv;
    case v1::SAMPLING_ORDER_RWKV:
      return SamplingOrder::kRwkv;
    case v1::SAMPLING_ORDER_HF:
      return SamplingOrder::kHf;
    default:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("order: ", static_cast<int>(order),
                                                 ", expected 0 (default), 1 (rwkv) or 2 (hf)"));
}

// The numbers that are copied when they are there.
void ConvertScalars(const v1::Sampling& from, const SamplingDefaults& defaults,
                    SamplingParams& to) {
  to.temperature = defaults.temperature.value_or(to.temperature);
  to.top_p = defaults.top_p.value_or(to.top_p);
  if (from.has_temperature()) to.temperature = from.temperature();
  if (from.has_top_k()) to.top_k = from.top_k();
  if (from.has_top_p()) to.top_p = from.top_p();
  if (from.has_min_p()) to.min_p = from.min_p();
  if (from.has_presence_penalty()) to.presence_penalty = from.presence_penalty();
  if (from.has_frequency_penalty()) to.frequency_penalty = from.frequency_penalty();
  if (from.has_penalty_decay()) to.penalty_decay = from.penalty_decay();
  if (from.has_repetition_penalty()) to.repetition_penalty = from.repetition_penalty();
  to.repetition_output_only = from.repetition_output_only();
  to.prompt_penalty_weight = from.prompt_penalty_weight();
}

absl::StatusOr<SamplingParams> ConvertSampling(const v1::Sampling& from, const ModelProfile& model,
                                               const SamplingDefaults& defaults,
                                               uint64_t random_seed) {
  const int64_t vocab_size = model.description.vocab_size;
  SamplingParams to;
  to.temperature = model.defaults.temperature.value_or(to.temperature);
  to.top_p = model.defaults.top_p.value_or(to.top_p);
  ConvertScalars(from, defaults, to);
  to.seed = from.has_seed() ? from.seed() : random_seed;
  ASSIGN_OR_RETURN(to.order, ConvertOrder(from.order(), model));
  ASSIGN_OR_RETURN(
      to.penalty_exempt_tokens,
      ConvertTokenIds("penalty_exempt_tokens", from.penalty_exempt_tokens(), vocab_size));
  ASSIGN_OR_RETURN(to.banned_tokens,
                   ConvertTokenIds("banned_tokens", from.banned_tokens(), vocab_size));
  if (from.has_allowed_tokens()) {
    ASSIGN_OR_RETURN(to.allowed_tokens,
                     ConvertTokenIds("allowed_tokens", from.allowed_tokens().ids(), vocab_size));
  }
  for (const auto& [token, bias] : from.logit_bias()) {
    if (token >= vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("logit_bias: token ", token, ", expected less than ", vocab_size));
    }
    to.logit_bias.emplace_back(static_cast<int32_t>(token), bias);
  }
  std::sort(to.logit_bias.begin(), to.logit_bias.end());  // a map has no order of its own
  RETURN_IF_ERROR(to.Validate(vocab_size));
  return to;
}

absl::StatusOr<std::vector<std::string>> ConvertStopStrings(const v1::StopStrings& from,
                                                            const ModelProfile& model) {
  if (from.text_size() > kMaxStopStrings) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop: ", from.text_size(), " strings, expected at most ", kMaxStopStrings));
  }
  std::vector<std::string> stop;
  for (const std::string& text : from.text()) {
    if (text.size() > kMaxStopBytes) {
      return absl::InvalidArgumentError(absl::StrCat("stop: a string of ", text.size(),
                                                     " bytes, expected at most ", kMaxStopBytes));
    }
    if (!text.empty()) stop.push_back(text);
  }
  if (!stop.empty() && model.text.tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("stop: model ", model.name, " has no tokenizer, expected stop_tokens"));
  }
  return stop;
}

std::vector<std::string> DefaultStop(const ModelProfile& model, bool is_chat) {
  if (model.default_stop) return *model.default_stop;
  std::vector<std::string> stop;
  if (!is_chat) return stop;
  for (const absl::string_view text : model.text.chat->stop) stop.emplace_back(text);
  return stop;
}

// The model's end tokens and the request's own. With ignore_eos the model's can never be drawn,
// while the request's still end a choice.
absl::Status ConvertEndTokens(const v1::Stopping& from, const ModelProfile& model,
                              GenerationRequest& to) {
  ASSIGN_OR_RETURN(to.stopping.end_tokens, ConvertTokenIds("stop_tokens", from.stop_tokens(),
                                                           model.description.vocab_size));
  for (const int32_t token : model.text.end_tokens) {
    if (token >= model.description.vocab_size) continue;
    auto& list = from.ignore_eos() ? to.sampling.banned_tokens : to.stopping.end_tokens;
    list.push_back(token);
  }
  return absl::OkStatus();
}

// `needs_output` is false if log-probabilities of the prompt make a request without output useful.
absl::StatusOr<int64_t> ConvertMaxTokens(const v1::Stopping& from, const ModelProfile& model,
                                         int64_t prompt_tokens, bool needs_output) {
  const int64_t room = model.max_total_tokens - prompt_tokens;
  if (!from.has_max_tokens()) return std::min(model.max_tokens, room);
  const int64_t least = needs_output ? 1 : 0;
  const int64_t most = std::min(model.max_tokens, room);
  const int64_t given = from.max_tokens();
  const int64_t max_tokens = from.clip_max_tokens() ? std::min(given, most) : given;
  if (max_tokens < least || max_tokens > most) {
    return OutOfRange("max_tokens", max_tokens, least, most);
  }
  return max_tokens;
}

absl::Status ConvertStopping(const v1::Stopping& from, const ModelProfile& model,
                             const ConvertedPrompt& prompt, GenerationRequest& to) {
  const bool needs_output = !to.logprobs || !to.logprobs->prompt;
  const int64_t prompt_tokens = static_cast<int64_t>(prompt.tokens.size());
  RETURN_IF_ERROR(CheckPromptLength(prompt_tokens, needs_output ? 1 : 0, model));
  ASSIGN_OR_RETURN(to.stopping.max_tokens,
                   ConvertMaxTokens(from, model, prompt_tokens, needs_output));
  to.stopping.min_tokens = from.min_tokens();
  if (to.stopping.min_tokens > to.stopping.max_tokens) {
    return OutOfRange("min_tokens", to.stopping.min_tokens, 0, to.stopping.max_tokens);
  }
  if (from.has_stop()) {
    ASSIGN_OR_RETURN(to.stopping.stop, ConvertStopStrings(from.stop(), model));
  } else {
    to.stopping.stop = DefaultStop(model, prompt.is_chat);
  }
  to.stopping.include_stop = from.include_stop();
  return ConvertEndTokens(from, model, to);
}

absl::StatusOr<LogprobsParams> ConvertLogprobs(const v1::LogprobsOptions& from) {
  if (from.top() > kMaxTopLogprobs) {
    return OutOfRange("logprobs.top", from.top(), 0, kMaxTopLogprobs);
  }
  return LogprobsParams{static_cast<int>(from.top()), from.prompt(), from.processed()};
}

}  // namespace

absl::StatusOr<ConvertedGenerate> ConvertGenerate(const v1::GenerateRequest& request,
                                                  const ModelProfile& model,
                                                  const Registry& registry, uint64_t random_seed) {
  RETURN_IF_ERROR(CheckReserved(request));
  ASSIGN_OR_RETURN(ConvertedConditioning conditioning,
                   ConvertConditioning(request.conditioning(), registry));
  ConvertedGenerate converted;
  GenerationRequest& engine = converted.engine;
  if (request.n() > static_cast<uint32_t>(model.max_sequences)) {
    return OutOfRange("n", request.n(), 1, model.max_sequences);
  }
  engine.num_choices = std::max(1, static_cast<int>(request.n()));
  if (request.has_logprobs()) {
    ASSIGN_OR_RETURN(engine.logprobs, ConvertLogprobs(request.logprobs()));
  }
  ASSIGN_OR_RETURN(engine.sampling,
                   ConvertSampling(request.sampling(), model, conditioning.defaults, random_seed));
  ASSIGN_OR_RETURN(ConvertedPrompt prompt, ConvertPrompt(request.prompt(), model));
  RETURN_IF_ERROR(ConvertStopping(request.stopping(), model, prompt, engine));
  if (request.echo() && model.text.tokenizer == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("echo: model ", model.name, " has no tokenizer, expected false"));
  }
  engine.strip_leading_space = prompt.is_chat && model.text.chat->strip_leading_space;
  engine.prompt = std::move(prompt.tokens);
  engine.conditioning = std::move(conditioning.engine);
  if (request.echo()) converted.echo = std::move(prompt.text);
  return converted;
}

absl::StatusOr<GenerationRequest> ConvertScore(const v1::ScoreRequest& request,
                                               const ModelProfile& model,
                                               const Registry& registry) {
  ASSIGN_OR_RETURN(ConvertedConditioning conditioning,
                   ConvertConditioning(request.conditioning(), registry));
  if (request.top() > kMaxTopLogprobs) return OutOfRange("top", request.top(), 0, kMaxTopLogprobs);
  ASSIGN_OR_RETURN(ConvertedPrompt prompt, ConvertPrompt(request.prompt(), model));
  RETURN_IF_ERROR(CheckPromptLength(static_cast<int64_t>(prompt.tokens.size()), 0, model));
  GenerationRequest engine;
  engine.prompt = std::move(prompt.tokens);
  engine.logprobs = LogprobsParams{static_cast<int>(request.top()), /*prompt=*/true, false};
  engine.conditioning = std::move(conditioning.engine);
  return engine;
}

}  // namespace skein
