#include "gateway/endpoints/worker_errors.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

struct FieldName {
  const char* worker;
  const char* body;
};

// Fields whose names in the RPC contract and in the body differ.
constexpr FieldName kFieldNames[] = {
    {"order", "sampling_order"},       {"repetition_output_only", "repetition_scope"},
    {"stop_tokens", "stop_token_ids"}, {"include_stop", "include_stop_str_in_output"},
    {"logprobs.top", "top_logprobs"},  {"ids", "tokens"},
};

bool IsFieldName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '.' || c == '[' ||
           c == ']';
  });
}

}  // namespace

absl::Status FromWorker(absl::Status status, absl::string_view prompt_field) {
  if (!absl::IsInvalidArgument(status)) return status;
  const std::string message(status.message());
  const size_t colon = message.find(": ");
  if (colon == std::string::npos) return status;
  absl::string_view name = absl::string_view(message).substr(0, colon);
  if (!IsFieldName(name)) return status;
  if (name == "prompt" || absl::StartsWith(name, "prompt.")) {
    return WithParam(std::move(status), prompt_field);
  }
  for (const FieldName& field : kFieldNames) {
    if (name == field.worker) name = field.body;
  }
  return WithParam(std::move(status), name);
}

absl::Status FromPick(absl::Status status) {
  if (!absl::IsNotFound(status)) return status;
  return WithCode(WithParam(std::move(status), "model"), "model_not_found");
}

}  // namespace skein
