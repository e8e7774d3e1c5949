#include "tests/fuzz/request_decoding.h"

#include <cmath>
#include <string>

#include "absl/strings/match.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"
#include "google/protobuf/util/message_differencer.h"

#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/errors.h"
#include "gateway/endpoints/json_body.h"
#include "gateway/endpoints/tokenize_body.h"
#include "tests/fuzz/fuzz.h"

namespace skein::fuzz {
namespace {

namespace json = boost::json;

constexpr uint32_t kMaxDepth = 32;
constexpr uint32_t kMaxChoices = 16;

void CheckRefusal(const absl::Status& status) {
  RequireFailure(status, {absl::StatusCode::kInvalidArgument});
  Require(HttpStatusOf(status) == 400, "a bad body is answered 400");
  json::error_code error;
  const json::value body = json::parse(ErrorBody(status, "req-1"), error);
  Require(!error && body.is_object() && body.get_object().contains("error"),
          "an error is a JSON object");
}

// Strings that are not UTF-8 would not survive.
template <typename Message>
void CheckWire(const Message& message) {
  std::string wire;
  Require(message.SerializeToString(&wire), "a message can be sent");
  Message again;
  Require(again.ParseFromString(wire), "a message that was sent can be read");
  Require(google::protobuf::util::MessageDifferencer::Equals(message, again),
          "a message that was sent is the same");
}

void CheckSampling(const v1::Sampling& sampling) {
  for (const float value :
       {sampling.temperature(), sampling.top_p(), sampling.min_p(), sampling.presence_penalty(),
        sampling.frequency_penalty(), sampling.penalty_decay(), sampling.repetition_penalty(),
        sampling.prompt_penalty_weight()}) {
    Require(std::isfinite(value), "numbers are finite");
  }
  for (const auto& [id, bias] : sampling.logit_bias()) {
    Require(bias >= -100 && bias <= 100, "biases keep their range");
  }
}

void CheckText(const TextRequest& request) {
  Require(!request.prompts.empty(), "a request has a prompt");
  Require(request.prompts.size() * std::max(1u, request.generate.n()) <= kMaxPrompts * kMaxChoices,
          "choices are bounded");
  Require(!request.generate.model().empty(), "a request names its model");
  CheckSampling(request.generate.sampling());
  for (const v1::Prompt& prompt : request.prompts) {
    v1::GenerateRequest call = request.generate;
    *call.mutable_prompt() = prompt;
    CheckWire(call);
  }
}

template <typename Decoded, typename Check>
void CheckDecoded(const absl::StatusOr<Decoded>& decoded, const Check& check) {
  if (decoded.ok()) {
    check(*decoded);
  } else {
    CheckRefusal(decoded.status());
  }
}

bool Accepts(absl::string_view path, const json::object& body) {
  if (path == "/v1/chat/completions") return ReadChatRequest(body, kMaxChoices).ok();
  if (path == "/v1/completions") return ReadCompletionRequest(body, kMaxChoices).ok();
  if (path == "/v1/tokenize") return ReadTokenizeBody(body).ok();
  return ReadDetokenizeBody(body).ok();
}

}  // namespace

void CheckBody(absl::string_view path, absl::string_view body) {
  const auto parsed = ParseJsonBody(body, kMaxDepth);
  if (!parsed.ok()) return CheckRefusal(parsed.status());
  if (path == "/v1/chat/completions") {
    CheckDecoded(ReadChatRequest(*parsed, kMaxChoices), CheckText);
  } else if (path == "/v1/completions") {
    CheckDecoded(ReadCompletionRequest(*parsed, kMaxChoices), CheckText);
  } else if (path == "/v1/tokenize") {
    CheckDecoded(ReadTokenizeBody(*parsed),
                 [](const TokenizeBody& tokenize) { CheckWire(tokenize.request); });
  } else if (path == "/v1/detokenize") {
    CheckDecoded(ReadDetokenizeBody(*parsed), CheckWire<v1::DetokenizeRequest>);
  } else {
    return;
  }
  const std::string written = json::serialize(*parsed);
  // Of 1e999 and 0e999, which the parser takes for infinity and no number. No field does.
  if (absl::StrContains(written, "Infinity") || absl::StrContains(written, "NaN")) return;
  const auto again = ParseJsonBody(written, kMaxDepth);
  Require(again.ok(), "a body that was written can be read", again.status().ToString());
  Require(Accepts(path, *again) == Accepts(path, *parsed),
          "a body that was written means the same");
}

}  // namespace skein::fuzz
