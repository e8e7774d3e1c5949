#include "gateway/rwkv_infer/state_bodies.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "gateway/endpoints/errors.h"
#include "gateway/rwkv_infer/file_names.h"
#include "gateway/rwkv_infer/lenient_fields.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr double kLeastSum = 1e-6;  // as workers have it
constexpr size_t kMaxNameBytes = 128;

absl::Status SetModel(const json::value& value, StateBody& body) {
  body.model = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetName(const json::value& value, StateBody& body) {
  body.name = StringOf(value);
  return absl::OkStatus();
}

absl::Status SetPath(const json::value& value, StateBody& body) {
  body.paths = {StringOf(value)};
  return absl::OkStatus();
}

absl::Status SetPaths(const json::value& value, StateBody& body) {
  if (value.is_string()) return SetPath(value, body);
  for (const json::value& path : value.get_array()) body.paths.push_back(StringOf(path));
  return absl::OkStatus();
}

absl::Status SetZeroState(const json::value& value, StateBody& body) {
  body.with_zero_state = value.get_bool();
  return absl::OkStatus();
}

absl::Status SetWeights(const json::value& value, StateBody& body) {
  body.weights.emplace();
  for (const json::value& weight : value.get_array()) body.weights->push_back(FloatOf(weight));
  return absl::OkStatus();
}

absl::Status SetTemperature(const json::value& value, StateBody& body) {
  body.defaults.set_temperature(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetTopP(const json::value& value, StateBody& body) {
  body.defaults.set_top_p(FloatOf(value));
  return absl::OkStatus();
}

constexpr Range kNumStates = {.min = 1, .max = 64};

Field<StateBody> NameField(const char* effect, double max_bytes) {
  return {{.name = "state_viewname",
           .type = FieldType::kString,
           .range = {.min = 1, .max = max_bytes},
           .effect = effect,
           .required = true},
          SetName};
}

Field<StateBody> WeightsField(const char* default_value) {
  return {{.name = "state_gatingweight",
           .type = FieldType::kNumbers,
           .range = {.min = 1, .max = 128},
           .default_value = default_value,
           .effect = "Shares of the states, in their order, divided by their sum; missing ones "
                     "are 0, surplus ones are ignored."},
          SetWeights};
}

FieldTable<StateBody> With(FieldTable<StateBody> own, const char* default_value) {
  own.push_back({{.name = "default_temperature",
                  .type = FieldType::kNumber,
                  .range = {.min = 0, .max = 2},
                  .default_value = default_value,
                  .effect = "Of requests that choose this name and give none."},
                 SetTemperature});
  own.push_back({{.name = "default_top_p",
                  .type = FieldType::kNumber,
                  .range = {.min = 0, .max = 1},
                  .default_value = default_value,
                  .effect = "The same."},
                 SetTopP});
  own.push_back({{.name = "model",
                  .type = FieldType::kString,
                  .range = {.min = 1, .max = 256},
                  .default_value = "the one that is served",
                  .effect = "Name of the model, where workers serve several."},
                 SetModel});
  return own;
}

absl::StatusOr<StateBody> Read(const json::object& object, const FieldTable<StateBody>& fields) {
  StateBody body;
  RETURN_IF_ERROR(ReadLenient(object, fields, body));
  return body;
}

}  // namespace

const FieldTable<StateBody>& LoadStateFields() {
  static const FieldTable<StateBody> kFields =
      With({{{.name = "state_filename",
              .type = FieldType::kString,
              .range = {.min = 1, .max = 4096},
              .effect = "The file, relative to one of the workers' directories.",
              .required = true},
             SetPath},
            NameField("What requests call it, behind the model's name. A name that is taken is "
                      "given the new contents.",
                      kMaxNameBytes)},
           "the model's");
  return kFields;
}

const FieldTable<StateBody>& LoadMixtureFields() {
  static const FieldTable<StateBody> kFields =
      With({{{.name = "state_filenames",
              .type = FieldType::kStop,
              .range = kNumStates,
              .effect = "The files of its states, relative to one of the workers' directories.",
              .required = true},
             SetPaths},
            NameField("What requests call the mixture, behind the model's name. A name that is "
                      "taken is given the new contents.",
                      kMaxNameBytes),
            {{.name = "contain_originalstate",
              .type = FieldType::kBool,
              .default_value = "false",
              .effect = "The model without a state is one more part of it, the last one; true or "
                        "\"True\"."},
             SetZeroState},
            WeightsField("equal")},
           "the model's");
  return kFields;
}

const FieldTable<StateBody>& SetWeightsFields() {
  static const FieldTable<StateBody> kFields =
      With({NameField("The mixture, with or without the model's name and a blank before it.", 512),
            WeightsField("unchanged")},
           "unchanged");
  return kFields;
}

absl::StatusOr<StateBody> ReadLoadState(const json::object& object) {
  return Read(object, LoadStateFields());
}

absl::StatusOr<StateBody> ReadLoadMixture(const json::object& object) {
  return Read(object, LoadMixtureFields());
}

absl::StatusOr<StateBody> ReadSetWeights(const json::object& object) {
  return Read(object, SetWeightsFields());
}

absl::Status Weigh(absl::string_view field, const std::vector<float>& weights, v1::StateMix& mix) {
  double sum = 0;
  bool all_zero = true;
  for (int i = 0; i < mix.states_size(); ++i) {
    const auto index = static_cast<size_t>(i);
    const float weight = index < weights.size() ? weights[index] : 0.0f;
    mix.mutable_states(i)->set_weight(weight);
    sum += weight;
    all_zero = all_zero && weight == 0;
  }
  if (all_zero) {
    return FieldError(
        field, absl::StrCat("0 for all ", mix.states_size(), " states, expected one that is not"));
  }
  if (!mix.keep_sum() && std::abs(sum) < kLeastSum) {
    return FieldError(field, absl::StrCat("their sum is ", sum, ", expected another than 0"));
  }
  return absl::OkStatus();
}

std::string MemberName(const std::string& mixture, size_t index, const std::string& path) {
  std::string name = absl::StrCat(mixture, "/", index + 1);
  const std::string stem = StemOf(path);
  if (!stem.empty() && name.size() + 1 + stem.size() <= kMaxNameBytes) {
    absl::StrAppend(&name, " ", stem);
  }
  return name;
}

bool IsMemberOf(const std::string& name, const std::string& mixture) {
  absl::string_view rest = name;
  if (!absl::ConsumePrefix(&rest, mixture) || !absl::ConsumePrefix(&rest, "/")) return false;
  const size_t end = std::min(rest.find_first_not_of("0123456789"), rest.size());
  return end > 0 && (end == rest.size() || rest[end] == ' ');
}

}  // namespace skein
