#include "gateway/endpoints/registry_body.h"

#include "gateway/endpoints/conditioning_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

template <typename Request>
absl::Status SetModel(const json::value& value, Request& request) {
  request.set_model(StringOf(value));
  return absl::OkStatus();
}

template <typename Request>
absl::Status SetName(const json::value& value, Request& request) {
  request.set_name(StringOf(value));
  return absl::OkStatus();
}

template <typename Request>
absl::Status SetDefaults(const json::value& value, Request& request) {
  return ReadFields(value.get_object(), DefaultsFields(), "defaults.", *request.mutable_defaults());
}

absl::Status SetPath(const json::value& value, v1::LoadStateRequest& request) {
  request.set_path(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetLayout(const json::value& value, v1::LoadStateRequest& request) {
  request.set_layout(StringOf(value) == "key_value" ? v1::STATE_LAYOUT_KEY_VALUE
                                                    : v1::STATE_LAYOUT_VALUE_KEY);
  return absl::OkStatus();
}

absl::Status SetStates(const json::value& value, v1::DefineMixtureRequest& request) {
  return ReadStateWeights("states", value, *request.mutable_mix());
}

absl::Status SetKeepSum(const json::value& value, v1::DefineMixtureRequest& request) {
  request.mutable_mix()->set_keep_sum(value.get_bool());
  return absl::OkStatus();
}

absl::Status SetTemperature(const json::value& value, v1::Defaults& defaults) {
  defaults.set_temperature(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetTopP(const json::value& value, v1::Defaults& defaults) {
  defaults.set_top_p(FloatOf(value));
  return absl::OkStatus();
}

template <typename Request>
FieldTable<Request> NamedFields() {
  return {
      {{.name = "model",
        .type = FieldType::kString,
        .range = {.min = 1, .max = 256},
        .effect = "Name of the model that it is for.",
        .required = true},
       SetModel<Request>},
      {{.name = "name",
        .type = FieldType::kString,
        .range = {.min = 1, .max = 128},
        .effect = "What requests call it: letters and digits, with blanks and . _ - + / between "
                  "them. A name that is taken is given the new contents.",
        .required = true},
       SetName<Request>},
      {{.name = "defaults",
        .type = FieldType::kOptions,
        .effect = "Sampling fields of requests that name it and leave them out.",
        .schema = "EntryDefaults"},
       SetDefaults<Request>},
  };
}

template <typename Request>
FieldTable<Request> With(FieldTable<Request> table, const FieldTable<Request>& more) {
  table.insert(table.end(), more.begin(), more.end());
  return table;
}

}  // namespace

const FieldTable<v1::Defaults>& DefaultsFields() {
  static const FieldTable<v1::Defaults> kFields = {
      {{.name = "temperature",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 2},
        .effect = "As in requests."},
       SetTemperature},
      {{.name = "top_p",
        .type = FieldType::kNumber,
        .range = {.min = 0, .max = 1},
        .effect = "As in requests."},
       SetTopP},
  };
  return kFields;
}

const FieldTable<v1::LoadStateRequest>& StateFields() {
  static const FieldTable<v1::LoadStateRequest> kFields =
      With(NamedFields<v1::LoadStateRequest>(),
           {{{.name = "path",
              .type = FieldType::kString,
              .range = {.min = 1, .max = 4096},
              .effect = "The file, relative to one of the workers' configured directories.",
              .required = true},
             SetPath},
            {{.name = "layout",
              .type = FieldType::kEnum,
              .default_value = "the file's, else value_key",
              .effect = "Orientation of the matrices, which files do not always tell.",
              .values = "value_key|key_value"},
             SetLayout}});
  return kFields;
}

const FieldTable<v1::DefineMixtureRequest>& MixtureFields() {
  static const FieldTable<v1::DefineMixtureRequest> kFields =
      With(NamedFields<v1::DefineMixtureRequest>(),
           {{{.name = "states",
              .type = FieldType::kObjects,
              .range = {.min = 1, .max = 64},
              .effect = "Registered states and their weights, as in requests.",
              .required = true,
              .schema = "StateWeight"},
             SetStates},
            {{.name = "states_keep_sum",
              .type = FieldType::kBool,
              .default_value = "false",
              .effect = "As in requests."},
             SetKeepSum}});
  return kFields;
}

absl::StatusOr<v1::LoadStateRequest> ReadStateBody(const json::object& body) {
  v1::LoadStateRequest request;
  RETURN_IF_ERROR(ReadFields(body, StateFields(), "", request));
  return request;
}

absl::StatusOr<v1::DefineMixtureRequest> ReadMixtureBody(const json::object& body) {
  v1::DefineMixtureRequest request;
  RETURN_IF_ERROR(ReadFields(body, MixtureFields(), "", request));
  return request;
}

}  // namespace skein
