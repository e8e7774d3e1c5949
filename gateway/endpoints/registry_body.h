// The bodies that register states, mixtures and adapters.
#pragma once

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
#include "skein/v1/registry.pb.h"

namespace skein {

const FieldTable<v1::LoadStateRequest>& StateFields();
const FieldTable<v1::DefineMixtureRequest>& MixtureFields();
const FieldTable<v1::LoadAdapterRequest>& AdapterFields();
// Of the object `defaults`.
const FieldTable<v1::Defaults>& DefaultsFields();

// InvalidArgument naming the field.
absl::StatusOr<v1::LoadStateRequest> ReadStateBody(const boost::json::object& body);
absl::StatusOr<v1::DefineMixtureRequest> ReadMixtureBody(const boost::json::object& body);
absl::StatusOr<v1::LoadAdapterRequest> ReadAdapterBody(const boost::json::object& body);

}  // namespace skein
