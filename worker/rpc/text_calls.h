// Tokenize and Detokenize: answered at once, on the thread of the call.
#pragma once

#include "absl/status/statusor.h"

#include "skein/v1/inference.pb.h"
#include "worker/engine/model_host.h"

namespace skein {

// InvalidArgument for a prompt that ConvertPrompt refuses.
absl::StatusOr<v1::TokenizeResponse> Tokenize(const v1::TokenizeRequest& request,
                                              const ModelProfile& model);
// InvalidArgument for ids outside the vocabulary, and for a model without a tokenizer.
absl::StatusOr<v1::DetokenizeResponse> Detokenize(const v1::DetokenizeRequest& request,
                                                  const ModelProfile& model);

}  // namespace skein
