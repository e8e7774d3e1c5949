// The fields of a body that shape how tokens are drawn (docs/sampling.md), the same for chat and
// plain completions.
#pragma once

#include "gateway/endpoints/text_request.h"

namespace skein {

const FieldTable<TextRequest>& SamplingFields();

// The rules between sampling fields, once all are read.
absl::Status CheckSampling(TextRequest& request);

}  // namespace skein
