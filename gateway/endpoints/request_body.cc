#include "gateway/endpoints/request_body.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "gateway/endpoints/json_body.h"

namespace skein {

absl::StatusOr<boost::json::object> ReadBody(const HttpRequest& request,
                                             const GatewayContext& context) {
  const absl::string_view encoding = request.Header("content-encoding");
  if (!encoding.empty() && !absl::EqualsIgnoreCase(encoding, "identity")) {
    return absl::InvalidArgumentError(
        absl::StrCat("content-encoding: \"", encoding, "\", expected a plain body"));
  }
  return ParseJsonBody(request.body, context.config.limits().max_json_depth());
}

}  // namespace skein
