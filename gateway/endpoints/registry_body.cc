#include "gateway/endpoints/registry_body.h"

#include "gateway/endpoints/conditioning_fields.h"
#include "gateway/endpoints/errors.h"

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

template <typename Request>
absl::Status SetPath(const json::value& value, Request& request) {
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

absl::Status BothStrengths(absl::string_view field, absl::string_view other) {
  return FieldError(field,
                    absl::StrCat("given together with ", other, ", expected one of the two"));
}

absl::Status SetScaling(const json::value& value, v1::LoadAdapterRequest& request) {
  if (request.has_alpha()) return BothStrengths("scaling", "alpha");
  request.set_scaling(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetAlpha(const json::value& value, v1::LoadAdapterRequest& request) {
  if (request.has_scaling()) return BothStrengths("alpha", "scaling");
  request.set_alpha(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetMoleRule(const json::value& value, v1::LoadAdapterRequest& request) {
  request.set_mole_rule(static_cast<uint32_t>(IntOf(value)));
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
  };
}

template <typename Request>
Field<Request> DefaultsField() {
  return {{.name = "defaults",
           .type = FieldType::kOptions,
           .effect = "Sampling fields of requests that name it and leave them out.",
           .schema = "EntryDefaults"},
          SetDefaults<Request>};
}

template <typename Request>
Field<Request> PathField(const char* effect) {
  return {{.name = "path",
           .type = FieldType::kString,
           .range = {.min = 1, .max = 4096},
           .effect = effect,
           .required = true},
          SetPath<Request>};
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
           {DefaultsField<v1::LoadStateRequest>(),
            PathField<v1::LoadStateRequest>(
                "The file, relative to one of the workers' configured directories."),
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
           {DefaultsField<v1::DefineMixtureRequest>(),
            {{.name = "states",
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

const FieldTable<v1::LoadAdapterRequest>& AdapterFields() {
  static const FieldTable<v1::LoadAdapterRequest> kFields =
      With(NamedFields<v1::LoadAdapterRequest>(),
           {PathField<v1::LoadAdapterRequest>(
                "The file or folder, relative to one of the workers' configured directories."),
            {{.name = "scaling",
              .type = FieldType::kNumber,
              .default_value = "the file's, else 2",
              .effect = "Factor of the product of the two matrices of a LoRA or DoRA."},
             SetScaling},
            {{.name = "alpha",
              .type = FieldType::kNumber,
              .effect = "In place of `scaling`: this number over the rank of each layer."},
             SetAlpha},
            {{.name = "mole_rule",
              .type = FieldType::kInteger,
              .range = {.min = 1, .max = 2},
              .default_value = "2",
              .effect = "Routing rule of a mixture of LoRA experts: 1 is that of the first "
                        "trainings."},
             SetMoleRule}});
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

absl::StatusOr<v1::LoadAdapterRequest> ReadAdapterBody(const json::object& body) {
  v1::LoadAdapterRequest request;
  RETURN_IF_ERROR(ReadFields(body, AdapterFields(), "", request));
  return request;
}

}  // namespace skein
