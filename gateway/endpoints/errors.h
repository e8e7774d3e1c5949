// Errors as HTTP answers: {"error": {"message", "type", "param", "code"}} with the status that fits
// the code. A Status carries the request's offending field and a finer error code as payloads.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "gateway/http/http_types.h"

namespace skein {

// `status` with the field that it is about, a dotted path such as "messages[2].content". Keeps an
// existing one.
absl::Status WithParam(absl::Status status, absl::string_view param);
// `status` with the `code` of its error object, such as "model_not_found". Keeps an existing one.
absl::Status WithCode(absl::Status status, absl::string_view code);
// InvalidArgument with "PARAM: MESSAGE" as its text.
absl::Status FieldError(absl::string_view param, absl::string_view message);

// Empty if there is none.
std::string ParamOf(const absl::Status& status);

int HttpStatusOf(const absl::Status& status);

// {"error": ...} as JSON text. `request_id` is part of the message of our own failures, so that a
// user can report them.
std::string ErrorBody(const absl::Status& status, absl::string_view request_id);

// A whole answer, with Retry-After where trying again soon makes sense. An Internal error is
// logged.
HttpResponse ErrorResponse(const absl::Status& status, absl::string_view request_id);

// One log line for an Internal or unknown error; nothing for others, which are the client's or the
// load's.
void LogIfInternal(const absl::Status& status, absl::string_view request_id);

}  // namespace skein
