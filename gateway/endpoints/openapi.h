// GET /openapi.json: the HTTP API in the form that client generators and browsers of APIs read.
#pragma once

#include <memory>
#include <vector>

#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
#include "gateway/endpoints/gateway_context.h"

namespace skein {

// The schema of a body with these fields. Refused fields are in it only if some value is accepted.
boost::json::object BodySchema(const std::vector<FieldSpec>& fields);

// The whole document, OpenAPI 3.1.
const boost::json::object& OpenApiDocument();

absl::Status OpenApi(const HttpRequest& request, GatewayContext& context,
                     std::shared_ptr<HttpResponder> out);

}  // namespace skein
