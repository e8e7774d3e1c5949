// Cross-origin resource sharing: which web pages of other origins a browser lets call this API.
#pragma once

#include <string>

#include "google/protobuf/repeated_field.h"

#include "gateway/http/http_types.h"

namespace skein {

struct CorsAnswer {
  HeaderList headers;      // of the answer, whatever it is
  bool preflight = false;  // a browser's question before its request: these headers are the answer
};

// `origins` are those that the configuration allows, exact ones or "*"; none: no headers at all. A
// page of another origin gets no permission, which its browser takes for a no.
CorsAnswer AnswerCors(const HttpRequest& request,
                      const google::protobuf::RepeatedPtrField<std::string>& origins);

}  // namespace skein
