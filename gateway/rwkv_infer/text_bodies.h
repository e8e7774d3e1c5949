// The bodies of /chat/completions and /completions as RWKV-Infer's clients write them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "boost/json/object.hpp"

#include "gateway/endpoints/text_request.h"

namespace skein {

// What stands in `params`, for requests that do not say it themselves.
struct TextParams {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<float> presence_penalty;
  std::optional<float> frequency_penalty;
  std::optional<float> penalty_decay;
  std::optional<int64_t> max_tokens;
};

// The fields that the native API does not have.
struct TextExtras {
  std::optional<TextParams> params;
  std::optional<std::vector<float>> weights;  // mrss_gatingweight
};

struct InferText {
  TextRequest request;
  TextExtras extras;
};

const FieldTable<TextExtras>& ExtraFields();
const FieldTable<TextParams>& ParamsFields();

// InvalidArgument naming the field. Roles are taken in any case, and of a message's parts those
// with text; fields that have no effect here are ignored.
absl::StatusOr<InferText> ReadInferChat(const boost::json::object& body, uint32_t max_choices);
absl::StatusOr<InferText> ReadInferCompletion(const boost::json::object& body,
                                              uint32_t max_choices);

}  // namespace skein
