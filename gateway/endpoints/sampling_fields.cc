#include "gateway/endpoints/sampling_fields.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

namespace json = boost::json;

v1::Sampling& SamplingOf(TextRequest& request) { return *request.generate.mutable_sampling(); }

template <void (v1::Sampling::*Set)(float)>
absl::Status SetFloat(const json::value& value, TextRequest& request) {
  (SamplingOf(request).*Set)(FloatOf(value));
  return absl::OkStatus();
}

template <typename Ids>
void AppendTokenIds(const json::value& value, Ids* ids) {
  for (const json::value& id : value.get_array()) ids->Add(static_cast<uint32_t>(IntOf(id)));
}

template <google::protobuf::RepeatedField<uint32_t>* (v1::Sampling::*Mutable)()>
absl::Status SetTokenIds(const json::value& value, TextRequest& request) {
  AppendTokenIds(value, (SamplingOf(request).*Mutable)());
  return absl::OkStatus();
}

absl::Status SetTopK(const json::value& value, TextRequest& request) {
  SamplingOf(request).set_top_k(static_cast<int32_t>(IntOf(value)));
  return absl::OkStatus();
}

absl::Status SetHalfLife(const json::value& value, TextRequest& request) {
  request.half_life = value.to_number<double>();
  return absl::OkStatus();
}

absl::Status SetRepetitionScope(const json::value& value, TextRequest& request) {
  SamplingOf(request).set_repetition_output_only(StringOf(value) == "output");
  return absl::OkStatus();
}

absl::Status SetLogitBias(const json::value& value, TextRequest& request) {
  auto& bias = *SamplingOf(request).mutable_logit_bias();
  for (const auto& member : value.get_object()) {
    const absl::string_view key(member.key().data(), member.key().size());
    uint32_t id = 0;
    if (!absl::SimpleAtoi(key, &id)) continue;  // cannot be: CheckField has read it
    if (!bias.insert({id, FloatOf(member.value())}).second) {
      return FieldError(absl::StrCat("logit_bias.", key), "this token id has appeared before");
    }
  }
  return absl::OkStatus();
}

absl::Status SetAllowedTokens(const json::value& value, TextRequest& request) {
  AppendTokenIds(value, SamplingOf(request).mutable_allowed_tokens()->mutable_ids());
  return absl::OkStatus();
}

absl::Status SetSamplingOrder(const json::value& value, TextRequest& request) {
  SamplingOf(request).set_order(StringOf(value) == "rwkv" ? v1::SAMPLING_ORDER_RWKV
                                                          : v1::SAMPLING_ORDER_HF);
  return absl::OkStatus();
}

absl::Status SetSeed(const json::value& value, TextRequest& request) {
  SamplingOf(request).set_seed(static_cast<uint64_t>(IntOf(value)));
  return absl::OkStatus();
}

constexpr double kMaxIds = 1 << 20;  // more than any vocabulary has
constexpr FieldType kNumber = FieldType::kNumber;
constexpr FieldType kInteger = FieldType::kInteger;
constexpr FieldType kTokenIds = FieldType::kTokenIds;

using S = v1::Sampling;

// How far down the likeliest tokens a draw goes.
FieldTable<TextRequest> TruncationFields() {
  return {
      {{"temperature",
        kNumber,
        {0, 2},
        "1",
        "Divides the logits before the draw; 0 always takes the likeliest token."},
       SetFloat<&S::set_temperature>},
      {{"top_p",
        kNumber,
        {0, 1},
        "1",
        "Draws from the likeliest tokens that together reach this probability; 0 is greedy, 1 is "
        "off."},
       SetFloat<&S::set_top_p>},
      {{"top_k",
        kInteger,
        {-1, 2147483647},
        "0",
        "Draws from the k likeliest tokens; 0 or -1 is off."},
       SetTopK},
      {{"min_p",
        kNumber,
        {0, 1},
        "0",
        "Draws from tokens at least this fraction as likely as the likeliest; 0 is off."},
       SetFloat<&S::set_min_p>},
  };
}

// What lowers the logits of tokens that have occurred.
FieldTable<TextRequest> PenaltyFields() {
  return {
      {{"presence_penalty",
        kNumber,
        {-2, 2},
        "0",
        "Subtracted once from the logit of every token that has occurred."},
       SetFloat<&S::set_presence_penalty>},
      {{"frequency_penalty",
        kNumber,
        {-2, 2},
        "0",
        "Subtracted from a token's logit once per (decayed) occurrence."},
       SetFloat<&S::set_frequency_penalty>},
      {{"penalty_decay",
        kNumber,
        {0, 1, true},
        "1",
        "Factor on all occurrence counts per drawn token; 1 never forgets."},
       SetFloat<&S::set_penalty_decay>},
      {{"half_life",
        kNumber,
        {.min = 0, .above_min = true},
        "",
        "Another way to give `penalty_decay`: tokens after which a count has halved."},
       SetHalfLife},
      {{"repetition_penalty",
        kNumber,
        {.min = 0, .above_min = true},
        "1",
        "Divides positive and multiplies negative logits of tokens that have occurred; 1 is off."},
       SetFloat<&S::set_repetition_penalty>},
      {{.name = "repetition_scope",
        .type = FieldType::kEnum,
        .default_value = "all",
        .effect = "Where `repetition_penalty` looks: prompt and output, or output alone.",
        .values = "all|output"},
       SetRepetitionScope},
      {{"prompt_penalty_weight",
        kNumber,
        {.min = 0},
        "0",
        "What one occurrence in the prompt adds to a token's count."},
       SetFloat<&S::set_prompt_penalty_weight>},
      {{"penalty_exempt_tokens",
        kTokenIds,
        {0, kMaxIds},
        "[]",
        "Tokens that are neither counted nor penalised."},
       SetTokenIds<&S::mutable_penalty_exempt_tokens>},
  };
}

// Single tokens, order and seed.
FieldTable<TextRequest> TokenFields() {
  return {
      {{"logit_bias",
        FieldType::kTokenBias,
        {-100, 100},
        "{}",
        "Added to the logits of single tokens."},
       SetLogitBias},
      {{"banned_tokens", kTokenIds, {0, kMaxIds}, "[]", "Tokens that are never drawn."},
       SetTokenIds<&S::mutable_banned_tokens>},
      {{"allowed_tokens", kTokenIds, {1, kMaxIds}, "all", "The only tokens that may be drawn."},
       SetAllowedTokens},
      {{.name = "sampling_order",
        .type = FieldType::kEnum,
        .default_value = "the model's",
        .effect = "Truncate the untempered distribution and temper the rest, or temper first.",
        .values = "rwkv|hf"},
       SetSamplingOrder},
      {{.name = "seed",
        .type = kInteger,
        .default_value = "random",
        .effect = "Same seed, request and model: same text, whatever else runs. Any integer of 64 "
                  "bits; a negative one is taken as its two's complement."},
       SetSeed},
  };
}

}  // namespace

const FieldTable<TextRequest>& SamplingFields() {
  static const FieldTable<TextRequest> kFields = [] {
    FieldTable<TextRequest> fields = TruncationFields();
    for (const FieldTable<TextRequest>& more : {PenaltyFields(), TokenFields()}) {
      fields.insert(fields.end(), more.begin(), more.end());
    }
    return fields;
  }();
  return kFields;
}

absl::Status CheckSampling(TextRequest& request) {
  if (!request.half_life.has_value()) return absl::OkStatus();
  if (request.generate.sampling().has_penalty_decay()) {
    return FieldError("half_life", "given together with penalty_decay, expected one of the two");
  }
  const double decay = std::exp2(-1.0 / *request.half_life);
  if (static_cast<float>(decay) <= 0) {
    return FieldError("half_life", "too small: nothing would be left of a count after one token");
  }
  SamplingOf(request).set_penalty_decay(static_cast<float>(decay));
  return absl::OkStatus();
}

}  // namespace skein
