// The parts of the OpenAPI document that no field table knows: what answers look like.
#pragma once

#include "boost/json/object.hpp"

namespace skein {

// Schemas by name: ChatCompletion, Completion, Model, ModelList, Tokens, Text, Usage, Error.
boost::json::object ReplySchemas();

}  // namespace skein
