// The body of POST /v1/chat/completions.
#pragma once

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/text_request.h"

namespace skein {

const FieldTable<TextRequest>& ChatFields();

// InvalidArgument naming the field. The result has one prompt, a chat.
absl::StatusOr<TextRequest> ReadChatRequest(const boost::json::object& body, uint32_t max_choices);

}  // namespace skein
