// From the body of a POST to the message that a worker gets, without a worker.
#pragma once

#include "absl/strings/string_view.h"

namespace skein::fuzz {

// Decodes `body` as the endpoint at `path` does and checks what comes out: a message that survives
// the wire, or an error object with status 400. Nothing for paths that read no body.
void CheckBody(absl::string_view path, absl::string_view body);

}  // namespace skein::fuzz
