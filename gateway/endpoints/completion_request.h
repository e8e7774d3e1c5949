// The body of POST /v1/completions.
#pragma once

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/text_request.h"

namespace skein {

// Prompts in one request.
inline constexpr size_t kMaxPrompts = 128;

const FieldTable<TextRequest>& CompletionFields();

// InvalidArgument naming the field. The result has one prompt or more; choice i of prompt p is
// choice p * n + i.
absl::StatusOr<TextRequest> ReadCompletionRequest(const boost::json::object& body,
                                                  uint32_t max_choices);

}  // namespace skein
