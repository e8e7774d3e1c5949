// Bodies as the clients of RWKV-Infer write them: numbers and booleans may be strings, and what a
// table does not have is ignored.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "boost/json/object.hpp"
#include "boost/json/value.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/field_table.h"

namespace skein {

// "0.5" as 0.5 for a number, an integer or a list of numbers, "True" and "true" as true for a
// boolean, 3.0 as 3 for an integer. Anything else stays as it is, for CheckField to judge.
boost::json::value Lenient(FieldType type, const boost::json::value& value);

// The members of `body` that `fields` honours, with lenient values. The names of all others are
// logged at debug level.
boost::json::object KnownFields(const boost::json::object& body,
                                const std::vector<FieldSpec>& fields);

template <typename T>
absl::Status ReadLenient(const boost::json::object& body, const FieldTable<T>& table, T& out) {
  return ReadFields(KnownFields(body, Specs(table)), table, "", out);
}

}  // namespace skein
