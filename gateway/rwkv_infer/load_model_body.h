// The body of POST /loadmodel.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/field_table.h"
#include "skein/v1/workers.pb.h"

namespace skein {

struct LoadModelBody {
  v1::LoadModelRequest request;
  std::vector<std::string> warnings;  // for the answer

  // As given, for the rules between fields.
  std::string template_name;
  std::string end_token;
  std::string adapter_path;
  std::string adapter_mode;
  std::optional<float> adapter_scaling;
};

const FieldTable<LoadModelBody>& LoadModelFields();

// InvalidArgument naming the field.
absl::StatusOr<LoadModelBody> ReadLoadModel(const boost::json::object& body);

// What a worker says of a LoadModelRequest, in the words of this body.
absl::Status InWordsOfLoadModel(const absl::Status& status);

}  // namespace skein
