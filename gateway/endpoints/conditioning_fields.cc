#include "gateway/endpoints/conditioning_fields.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr Range kNameBytes = {.min = 0, .max = 256};
constexpr Range kNumEntries = {.min = 1, .max = 64};
constexpr Range kNumAdapters = {.min = 1, .max = 8};

v1::Conditioning& ConditioningOf(TextRequest& request) {
  return *request.generate.mutable_conditioning();
}

absl::Status SetState(const json::value& value, TextRequest& request) {
  request.state = StringOf(value);
  if (!request.state->empty()) ConditioningOf(request).set_entry(*request.state);
  return absl::OkStatus();
}

absl::Status SetStates(const json::value& value, TextRequest& request) {
  request.has_states = true;
  v1::StateMix mix;
  RETURN_IF_ERROR(ReadStateWeights("states", value, mix));
  *request.states.mutable_states() = std::move(*mix.mutable_states());
  return absl::OkStatus();
}

absl::Status SetKeepSum(const json::value& value, TextRequest& request) {
  request.has_keep_sum = true;
  request.states.set_keep_sum(value.get_bool());
  return absl::OkStatus();
}

absl::Status SetAdapter(const json::value& value, TextRequest& request) {
  request.adapter = StringOf(value);
  if (!request.adapter->empty()) {
    ConditioningOf(request).add_adapters()->set_name(*request.adapter);
  }
  return absl::OkStatus();
}

absl::Status SetAdapters(const json::value& value, TextRequest& request) {
  request.has_adapters = true;
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(ReadFields(list[i].get_object(), AdapterWeightFields(),
                               absl::StrCat("adapters[", i, "]."),
                               *ConditioningOf(request).add_adapters()));
  }
  return absl::OkStatus();
}

absl::Status SetStateName(const json::value& value, v1::StateWeight& state) {
  state.set_name(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetWeight(const json::value& value, v1::StateWeight& state) {
  state.set_weight(FloatOf(value));
  return absl::OkStatus();
}

absl::Status SetAdapterName(const json::value& value, v1::AdapterWeight& adapter) {
  adapter.set_name(StringOf(value));
  return absl::OkStatus();
}

absl::Status SetScale(const json::value& value, v1::AdapterWeight& adapter) {
  adapter.set_scale(FloatOf(value));
  return absl::OkStatus();
}

absl::Status OneOfTheTwo(absl::string_view field, absl::string_view other) {
  return FieldError(field,
                    absl::StrCat("given together with ", other, ", expected one of the two"));
}

}  // namespace

const FieldTable<v1::StateWeight>& StateWeightFields() {
  static const FieldTable<v1::StateWeight> kFields = {
      {{.name = "name",
        .type = FieldType::kString,
        .range = kNameBytes,
        .default_value = "\"\"",
        .effect = "Name of a state; empty or null is the model without one."},
       SetStateName},
      {{.name = "weight",
        .type = FieldType::kNumber,
        .default_value = "1",
        .effect = "Share of this state; may be negative."},
       SetWeight},
  };
  return kFields;
}

const FieldTable<v1::AdapterWeight>& AdapterWeightFields() {
  static const FieldTable<v1::AdapterWeight> kFields = {
      {{.name = "name",
        .type = FieldType::kString,
        .range = {.min = 1, .max = kNameBytes.max},
        .effect = "Name of an adapter.",
        .required = true},
       SetAdapterName},
      {{.name = "scale",
        .type = FieldType::kNumber,
        .default_value = "the adapter's",
        .effect = "Factor of what the adapter adds."},
       SetScale},
  };
  return kFields;
}

const FieldTable<TextRequest>& ConditioningFields() {
  static const FieldTable<TextRequest> kFields = {
      {{.name = "state",
        .type = FieldType::kString,
        .range = kNameBytes,
        .effect = "Name of a tuned state, or of a mixture of them, that the model starts from; "
                  "empty is the model without one."},
       SetState},
      {{.name = "states",
        .type = FieldType::kObjects,
        .range = kNumEntries,
        .effect = "A mixture of this request's own: the model runs once from each state, and the "
                  "logits are added up by weight. In place of `state`.",
        .schema = "StateWeight"},
       SetStates},
      {{.name = "states_keep_sum",
        .type = FieldType::kBool,
        .default_value = "false",
        .effect = "The weights of `states` are used as they are, instead of being divided by their "
                  "sum."},
       SetKeepSum},
      {{.name = "adapter",
        .type = FieldType::kString,
        .range = kNameBytes,
        .effect = "Name of an adapter that changes the model's weights for this request; empty is "
                  "none."},
       SetAdapter},
      {{.name = "adapters",
        .type = FieldType::kObjects,
        .range = kNumAdapters,
        .effect = "Several adapters, whose changes of the weights are summed. In place of "
                  "`adapter`.",
        .schema = "AdapterWeight"},
       SetAdapters},
  };
  return kFields;
}

absl::Status ReadStateWeights(absl::string_view path, const json::value& list, v1::StateMix& mix) {
  const json::array& weights = list.get_array();
  for (size_t i = 0; i < weights.size(); ++i) {
    v1::StateWeight& state = *mix.add_states();
    state.set_weight(1);
    RETURN_IF_ERROR(ReadFields(weights[i].get_object(), StateWeightFields(),
                               absl::StrCat(path, "[", i, "]."), state));
  }
  return absl::OkStatus();
}

absl::Status CheckConditioning(TextRequest& request) {
  if (request.state.has_value() && request.has_states) return OneOfTheTwo("states", "state");
  if (request.adapter.has_value() && request.has_adapters) {
    return OneOfTheTwo("adapters", "adapter");
  }
  if (request.has_keep_sum && !request.has_states) {
    return FieldError("states_keep_sum", "only allowed with states");
  }
  if (request.has_states) *ConditioningOf(request).mutable_mix() = request.states;
  return absl::OkStatus();
}

}  // namespace skein
