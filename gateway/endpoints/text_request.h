// A checked body of /v1/chat/completions or /v1/completions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gateway/endpoints/field_table.h"
#include "skein/v1/inference.pb.h"

namespace skein {

struct TextRequest {
  uint32_t max_choices = 16;  // in: the gateway's limit of `n`

  v1::GenerateRequest generate;     // without a prompt
  std::string model_name;           // as the client gave it; set by ResolveModel
  bool model_names_entry = false;   // the same
  std::vector<v1::Prompt> prompts;  // one call each; chat has exactly one
  bool stream = false;
  std::string prompt_cache_key;  // requests with the same one go to one worker
  std::string user;              // the same, where there is no prompt_cache_key
  bool include_usage = false;

  // As given, for the rules between fields.
  std::optional<int64_t> max_tokens;
  std::optional<int64_t> max_completion_tokens;
  std::optional<int64_t> best_of;
  std::optional<int64_t> top_logprobs;
  bool logprobs = false;
  bool processed_logprobs = false;
  bool has_stream_options = false;
  std::optional<double> half_life;
  std::optional<std::string> state;
  bool has_states = false;
  bool has_keep_sum = false;
  v1::StateMix states;
  std::optional<std::string> adapter;
  bool has_adapters = false;
};

}  // namespace skein
