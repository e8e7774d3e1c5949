#include "gateway/endpoints/openapi.h"

#include "boost/json/serialize.hpp"

#include "gateway/endpoints/openapi_document.h"

namespace skein {

absl::Status OpenApi(const HttpRequest&, const Caller&, GatewayContext&,
                     std::shared_ptr<HttpResponder> out) {
  out->Send({.body = boost::json::serialize(OpenApiDocument()), .headers = {}});
  return absl::OkStatus();
}

}  // namespace skein
