#include "worker/rpc/response_conversion.h"

#include <algorithm>
#include <string>
#include <utility>

namespace skein {
namespace {

std::string BytesOf(const Tokenizer* tokenizer, int32_t token) {
  return tokenizer == nullptr ? "" : std::string(tokenizer->TokenBytes(token));
}

v1::FinishReason ConvertFinish(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return v1::FINISH_REASON_STOP;
    case FinishReason::kLength:
      return v1::FINISH_REASON_LENGTH;
  }
  return v1::FINISH_REASON_UNSPECIFIED;
}

}  // namespace

void ConvertTokenOutput(const TokenOutput& from, const Tokenizer* tokenizer, v1::TokenInfo* to) {
  to->set_id(from.token);
  to->set_text(BytesOf(tokenizer, from.token));
  if (from.logprob) to->set_logprob(*from.logprob);
  for (const TokenLogprob& candidate : from.top) {
    v1::TokenInfo* top = to->add_top();
    top->set_id(candidate.token);
    top->set_text(BytesOf(tokenizer, candidate.token));
    top->set_logprob(candidate.logprob);
  }
}

v1::Started ConvertStarted(const StartInfo& from, const Tokenizer* tokenizer) {
  v1::Started to;
  to.set_seed(from.seed);
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
  for (const TokenOutput& token : from.prompt) {
    ConvertTokenOutput(token, tokenizer, to.add_prompt());
  }
  return to;
}

v1::GenerateResponse ConvertChunk(OutputChunk from, const Tokenizer* tokenizer) {
  v1::GenerateResponse to;
  to.set_choice(from.choice);
  to.set_drawn(from.drawn);
  to.set_text(std::move(from.text));
  for (const TokenOutput& token : from.tokens) {
    ConvertTokenOutput(token, tokenizer, to.add_tokens());
  }
  if (from.finish) to.set_finish(ConvertFinish(*from.finish));
  to.set_matched_stop(std::move(from.matched_stop));
  return to;
}

v1::Usage ConvertUsage(const RequestUsage& from) {
  v1::Usage to;
  to.set_prompt_tokens(static_cast<uint32_t>(from.prompt_tokens));
  to.set_cached_tokens(static_cast<uint32_t>(from.cached_tokens));
  to.set_completion_tokens(static_cast<uint32_t>(from.completion_tokens));
  to.set_state_rows(static_cast<uint32_t>(from.state_rows));
  to.set_queue_us(static_cast<uint64_t>(
      absl::ToInt64Microseconds(from.queue_wait.value_or(absl::ZeroDuration()))));
  return to;
}

v1::ModelInfo ConvertModelInfo(const ModelProfile& from) {
  v1::ModelInfo to;
  to.set_name(from.name);
  to.set_architecture(from.description.architecture);
  to.set_weight_format(from.description.weight_format);
  to.set_weight_bytes(from.description.weight_bytes);
  to.set_state_bytes_per_sequence(from.state_bytes_per_sequence);
  to.set_kv_bytes_per_token(from.kv_bytes_per_token);
  to.set_max_sequences(from.max_sequences);
  // The longest prompt that leaves room for a token to draw.
  to.set_max_prompt_tokens(
      static_cast<uint32_t>(std::min(from.max_prompt_tokens, from.max_total_tokens - 1)));
  if (from.text.chat != nullptr) to.set_chat_format(std::string(from.text.chat->name));
  to.set_fingerprint(from.fingerprint);
  to.set_loaded_unix_s(absl::ToUnixSeconds(from.loaded));
  to.set_state_dtype(from.state_dtype == DType::kF16 ? "fp16" : "fp32");
  to.set_vocab_size(static_cast<uint32_t>(from.description.vocab_size));
  to.set_merged_adapter(from.merged_adapter);
  if (from.defaults.temperature) to.mutable_defaults()->set_temperature(*from.defaults.temperature);
  if (from.defaults.top_p) to.mutable_defaults()->set_top_p(*from.defaults.top_p);
  to.set_has_tokenizer(from.text.tokenizer != nullptr);
  if (from.defaults.temperature) to.mutable_defaults()->set_temperature(*from.defaults.temperature);
  if (from.defaults.top_p) to.mutable_defaults()->set_top_p(*from.defaults.top_p);
  return to;
}

v1::WorkerLoad ConvertLoad(const HostStatus& from) {
  v1::WorkerLoad to;
  to.set_running(from.load.running);
  to.set_waiting(from.load.waiting);
  to.set_free_state_slots(from.load.free_state_slots);
  to.set_free_kv_pages(from.load.free_kv_pages);
  to.set_waiting_tokens(from.load.waiting_tokens);
  to.set_steps(from.load.steps);
  to.set_draining(from.state == ModelState::kDraining || from.state == ModelState::kGone);
  if (from.state == ModelState::kReady) to.add_ready_models(from.model);
  if (from.registry == nullptr) return to;
  to.set_registry_revision(from.registry->revision);
  for (const auto& [name, entry] : from.registry->entries) {
    if (entry->kind != EntryKind::kMixture) to.add_resident(name);
  }
  return to;
}

}  // namespace skein
