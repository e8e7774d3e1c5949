// Log-probabilities in OpenAI's two forms.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "boost/json/array.hpp"
#include "boost/json/object.hpp"
#include "google/protobuf/repeated_ptr_field.h"

#include "skein/v1/inference.pb.h"

namespace skein {

using TokenInfos = google::protobuf::RepeatedPtrField<v1::TokenInfo>;

// A token's bytes if they are valid UTF-8, else "bytes:\xe4\xbd", so that different tokens have
// different texts.
std::string TokenText(absl::string_view bytes);

// -9999 stands for minus infinity, which JSON lacks. The shortest digits that give the same float.
double JsonLogprob(float logprob);

// Chat: a list of {"token", "logprob", "bytes", "top_logprobs"}.
boost::json::array ChatLogprobs(const TokenInfos& tokens);

// Plain completions: parallel lists {"tokens", "token_logprobs", "top_logprobs", "text_offset"}.
// `offset` is where the first token begins, in characters of the choice's text; it moves past the
// last one.
boost::json::object CompletionLogprobs(const TokenInfos& tokens, int64_t& offset);
// Appends the lists of `more` to those of `all`, which may be empty.
void AppendLogprobs(boost::json::object more, boost::json::object& all);

}  // namespace skein
