#include "gateway/endpoints/generation_fields.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/sampling_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

v1::Stopping& StoppingOf(TextRequest& request) { return *request.generate.mutable_stopping(); }

absl::Status SetModel(const json::value& value, TextRequest& request) {
  request.generate.set_model(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetN(const json::value& value, TextRequest& request) {
  const int64_t n = IntOf(value);
  if (n > request.max_choices) {
    return WithCode(FieldError("n", absl::StrCat("found ", n, ", expected an integer 1 to ",
                                                 request.max_choices)),
                    "invalid_value");
  }
  request.generate.set_n(static_cast<uint32_t>(n));
  return absl::OkStatus();
}

absl::Status SetStream(const json::value& value, TextRequest& request) {
  request.stream = value.get_bool();
  return absl::OkStatus();
}

absl::Status SetIncludeUsage(const json::value& value, TextRequest& request) {
  request.include_usage = value.get_bool();
  return absl::OkStatus();
}

absl::Status SetStreamOptions(const json::value& value, TextRequest& request) {
  request.has_stream_options = true;
  return ReadFields(value.get_object(), StreamOptionsFields(), "stream_options.", request);
}

absl::Status SetStop(const json::value& value, TextRequest& request) {
  v1::StopStrings& stop = *StoppingOf(request).mutable_stop();
  if (value.is_string()) {
    stop.add_text(StringOf(value));
    return absl::OkStatus();
  }
  for (const json::value& text : value.get_array()) stop.add_text(StringOf(text));
  return absl::OkStatus();
}

absl::Status SetStopTokenIds(const json::value& value, TextRequest& request) {
  for (const json::value& id : value.get_array()) {
    StoppingOf(request).add_stop_tokens(static_cast<uint32_t>(IntOf(id)));
  }
  return absl::OkStatus();
}

absl::Status SetMinTokens(const json::value& value, TextRequest& request) {
  StoppingOf(request).set_min_tokens(static_cast<uint32_t>(IntOf(value)));
  return absl::OkStatus();
}

absl::Status SetIgnoreEos(const json::value& value, TextRequest& request) {
  StoppingOf(request).set_ignore_eos(value.get_bool());
  return absl::OkStatus();
}

absl::Status SetIncludeStop(const json::value& value, TextRequest& request) {
  StoppingOf(request).set_include_stop(value.get_bool());
  return absl::OkStatus();
}

absl::Status SetPromptCacheKey(const json::value& value, TextRequest& request) {
  request.prompt_cache_key = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetUser(const json::value& value, TextRequest& request) {
  request.user = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetLogprobsMode(const json::value& value, TextRequest& request) {
  request.processed_logprobs = StringOf(value) == "processed";
  return absl::OkStatus();
}

}  // namespace

const FieldTable<TextRequest>& StreamOptionsFields() {
  static const FieldTable<TextRequest> kFields = {
      {{.name = "include_usage",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "A last chunk without choices carries `usage`; on the others it is null."},
       SetIncludeUsage},
      {{.name = "include_obfuscation",
        .type = FieldType::kBool,
        .effect = "chunks are not padded to hide their length.",
        .use = FieldUse::kRefused,
        .only = "false"}},
  };
  return kFields;
}

const FieldTable<TextRequest>& GenerationFields() {
  static const FieldTable<TextRequest> kFields = {
      {{.name = "model",
        .type = FieldType::kString,
        .range = {.min = 1, .max = 256},
        .effect = "Name of a model, or of a model and one of its states, mixtures or adapters "
                  "with a blank between, as GET /v1/models lists them.",
        .required = true},
       SetModel},
      {{.name = "n",
        .type = FieldType::kInteger,
        .range = {.min = 1, .max = 128},
        .default_value = "1",
        .effect = "Choices to draw from one prompt; the gateway's `max_choices`, 16 by default, "
                  "limits it further."},
       SetN},
      {{.name = "stream",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "Answer with server-sent events while the text is drawn."},
       SetStream},
      {{.name = "stream_options",
        .type = FieldType::kOptions,
        .effect = "Options of a streamed answer; an error without `stream`.",
        .schema = "StreamOptions"},
       SetStreamOptions},
      {{.name = "stop",
        .type = FieldType::kStop,
        .range = {.min = 0, .max = 16},
        .default_value = "the model's",
        .effect = "Strings that end a choice; they are cut off. An empty list switches the model's "
                  "own off."},
       SetStop},
      {{.name = "stop_token_ids",
        .type = FieldType::kTokenIds,
        .range = {.min = 0, .max = 1024},
        .default_value = "[]",
        .effect = "Tokens that end a choice, besides the model's end tokens."},
       SetStopTokenIds},
      {{.name = "min_tokens",
        .type = FieldType::kInteger,
        .range = {.min = 0, .max = 2147483647},
        .default_value = "0",
        .effect =
            "Until so many tokens are drawn, neither end tokens nor stop strings end a choice."},
       SetMinTokens},
      {{.name = "ignore_eos",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "The model's end tokens are never drawn."},
       SetIgnoreEos},
      {{.name = "include_stop_str_in_output",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "The stop string that ended a choice stays in its text."},
       SetIncludeStop},
      {{.name = "logprobs_mode",
        .type = FieldType::kEnum,
        .default_value = "raw",
        .effect =
            "Log-probabilities of the model itself, or of the distribution that was drawn from.",
        .values = "raw|processed"},
       SetLogprobsMode},
      {{.name = "prompt_cache_key",
        .type = FieldType::kString,
        .range = {.min = 0, .max = 1024},
        .default_value = "`user`",
        .effect = "Requests with the same key go to the same worker while its load allows: a "
                  "conversation or a long prompt that they share is at home there."},
       SetPromptCacheKey},
      {{.name = "user",
        .type = FieldType::kString,
        .range = {.min = 0, .max = 1024},
        .default_value = "the start of the prompt",
        .effect = "Takes the place of `prompt_cache_key`."},
       SetUser},
  };
  return kFields;
}

absl::Status CheckGeneration(TextRequest& request) {
  if (request.has_stream_options && !request.stream) {
    return FieldError("stream_options", "only allowed when stream is true");
  }
  const v1::Stopping& stopping = request.generate.stopping();
  if (stopping.has_max_tokens() && stopping.min_tokens() > stopping.max_tokens()) {
    return FieldError("min_tokens",
                      absl::StrCat("found ", stopping.min_tokens(),
                                   ", expected at most max_tokens, ", stopping.max_tokens()));
  }
  if (request.processed_logprobs) {
    if (!request.generate.has_logprobs()) {
      return FieldError("logprobs_mode", "only allowed with logprobs");
    }
    request.generate.mutable_logprobs()->set_processed(true);
  }
  RETURN_IF_ERROR(CheckConditioning(request));
  return CheckSampling(request);
}

absl::Status SetMaxTokens(const json::value& value, TextRequest& request) {
  request.max_tokens = IntOf(value);
  StoppingOf(request).set_max_tokens(static_cast<uint32_t>(*request.max_tokens));
  return absl::OkStatus();
}

FieldTable<TextRequest> WithSharedFields(FieldTable<TextRequest> own) {
  FieldTable<TextRequest> table = std::move(own);
  for (const FieldTable<TextRequest>* shared :
       {&GenerationFields(), &ConditioningFields(), &SamplingFields()}) {
    table.insert(table.end(), shared->begin(), shared->end());
  }
  return table;
}

}  // namespace skein
