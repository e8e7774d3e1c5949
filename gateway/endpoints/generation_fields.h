// The fields that chat and plain completions share besides sampling: the model, how much and how to
// answer, where to stop.
#pragma once

#include "absl/strings/string_view.h"

#include "gateway/endpoints/text_request.h"

namespace skein {

const FieldTable<TextRequest>& GenerationFields();
// Of the object `stream_options`.
const FieldTable<TextRequest>& StreamOptionsFields();

// The rules between these fields, once all are read, and those of the sampling fields.
absl::Status CheckGeneration(TextRequest& request);

// Setters that both endpoints use under their own limits.
absl::Status SetMaxTokens(const boost::json::value& value, TextRequest& request);

// `own` followed by the shared tables.
FieldTable<TextRequest> WithSharedFields(FieldTable<TextRequest> own);

}  // namespace skein
