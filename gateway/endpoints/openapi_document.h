// The HTTP API in the form that client generators and browsers of APIs read.
#pragma once

#include <vector>

#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"

namespace skein {

// The schema of a body with these fields. Refused fields are in it only if some value is accepted.
boost::json::object BodySchema(const std::vector<FieldSpec>& fields);

// The whole document, OpenAPI 3.1.
const boost::json::object& OpenApiDocument();

}  // namespace skein
