#include "gateway/endpoints/logprobs_json.h"

#include <charconv>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"

#include "gateway/endpoints/utf8.h"

namespace skein {
namespace {

namespace json = boost::json;

// Characters that begin in `bytes`, which may end within one.
int64_t CountCharacters(absl::string_view bytes) {
  int64_t count = 0;
  for (const char byte : bytes) {
    if ((static_cast<unsigned char>(byte) & 0xC0) != 0x80) ++count;
  }
  return count;
}

json::array Bytes(absl::string_view bytes) {
  json::array list;
  list.reserve(bytes.size());
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

json::object ChatToken(const v1::TokenInfo& token) {
  return {{"token", TokenText(token.text())},
          {"logprob", JsonLogprob(token.logprob())},
          {"bytes", Bytes(token.text())}};
}

// The likeliest tokens at one place and the token that is there.
json::object TopMap(const v1::TokenInfo& token) {
  json::object top;
  for (const v1::TokenInfo& other : token.top()) {
    top.emplace(TokenText(other.text()), JsonLogprob(other.logprob()));
  }
  top.emplace(TokenText(token.text()), JsonLogprob(token.logprob()));
  return top;
}

}  // namespace

std::string TokenText(absl::string_view bytes) {
  if (IsValidUtf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) {
    absl::StrAppendFormat(&text, "\\x%02x", static_cast<unsigned char>(byte));
  }
  return text;
}

double JsonLogprob(float logprob) {
  constexpr double kMinusInfinity = -9999.0;
  if (!std::isfinite(logprob)) return kMinusInfinity;
  char digits[64];
  const auto written = std::to_chars(digits, digits + sizeof(digits), logprob);
  double value = logprob;
  std::from_chars(digits, written.ptr, value);
  return value;
}

json::array ChatLogprobs(const TokenInfos& tokens) {
  json::array list;
  for (const v1::TokenInfo& token : tokens) {
    json::object entry = ChatToken(token);
    json::array top;
    for (const v1::TokenInfo& other : token.top()) top.push_back(ChatToken(other));
    entry["top_logprobs"] = std::move(top);
    list.push_back(std::move(entry));
  }
  return list;
}

json::object CompletionLogprobs(const TokenInfos& tokens, int64_t& offset) {
  json::array texts;
  json::array logprobs;
  json::array tops;
  json::array offsets;
  for (const v1::TokenInfo& token : tokens) {
    texts.push_back(json::value(TokenText(token.text())));
    offsets.push_back(offset);
    offset += CountCharacters(token.text());
    if (token.has_logprob()) {
      logprobs.push_back(JsonLogprob(token.logprob()));
      tops.push_back(TopMap(token));
    } else {
      logprobs.push_back(nullptr);
      tops.push_back(nullptr);
    }
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(logprobs)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(offsets)}};
}

void AppendLogprobs(json::object more, json::object& all) {
  if (all.empty()) {
    all = std::move(more);
    return;
  }
  for (auto& member : more) {
    json::array& to = all[member.key()].get_array();
    for (json::value& value : member.value().get_array()) to.push_back(std::move(value));
  }
}

}  // namespace skein
