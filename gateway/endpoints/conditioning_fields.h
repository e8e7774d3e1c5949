// The fields of a body that choose what a model is conditioned with, the same for chat and plain
// completions: a tuned state or a mixture of them, and adapters.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

#include "gateway/endpoints/text_request.h"

namespace skein {

const FieldTable<TextRequest>& ConditioningFields();
// Of the objects in `states` and `adapters`.
const FieldTable<v1::StateWeight>& StateWeightFields();
const FieldTable<v1::AdapterWeight>& AdapterWeightFields();

// Appends the weights of `list`, which CheckField has accepted. `path` is its name.
absl::Status ReadStateWeights(absl::string_view path, const boost::json::value& list,
                              v1::StateMix& mix);

// The rules between these fields, once all are read.
absl::Status CheckConditioning(TextRequest& request);

}  // namespace skein
