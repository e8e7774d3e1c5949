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
    {"order", "sampling_order"},
    {"repetition_output_only", "repetition_scope"},
    {"stop_tokens", "stop_token_ids"},
    {"include_stop", "include_stop_str_in_output"},
    {"logprobs.top", "top_logprobs"},
    {"ids", "tokens"},
    {"mix", "states"},
    {"conditioning.entry", "state"},
    {"conditioning.mix", "states"},
    {"conditioning.adapters", "adapters"},
};

// What a worker did not find; its message begins with it.
struct Missing {
  const char* what;
  const char* param;
  const char* code;
};
constexpr Missing kMissing[] = {{"conditioning", "state", "state_not_found"},
                                {"model", "model", "model_not_found"},
                                {"state", "state", "state_not_found"},
                                {"adapter", "adapter", "adapter_not_found"}};

absl::Status NotFound(absl::Status status) {
  for (const Missing& missing : kMissing) {
    if (!absl::StartsWith(status.message(), missing.what)) continue;
    return WithCode(WithParam(std::move(status), missing.param), missing.code);
  }
  return status;
}

bool IsFieldName(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '.' || c == '[' ||
           c == ']';
  });
}

}  // namespace

absl::Status FromWorker(absl::Status status, absl::string_view prompt_field) {
  if (absl::IsNotFound(status)) return NotFound(std::move(status));
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
  return absl::IsNotFound(status) ? NotFound(std::move(status)) : status;
}

}  // namespace skein
