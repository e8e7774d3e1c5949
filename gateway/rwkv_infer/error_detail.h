// {"detail": "..."}: where the clients of RWKV-Infer look for what went wrong.
#pragma once

#include <memory>

#include "gateway/http/http_types.h"

namespace skein {

// Adds the text of an error object as `detail` beside it. Other answers stay as they are.
void AddDetail(HttpResponse& response);

// `out`, with AddDetail for what is sent whole.
std::shared_ptr<HttpResponder> WithErrorDetail(std::shared_ptr<HttpResponder> out);

}  // namespace skein
