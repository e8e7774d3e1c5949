// The parts of a tokenizer.json around its model: normalizer, pre_tokenizer, post_processor,
// decoder.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include <boost/json.hpp>

#include "common/text/pre_tokenizer.h"

namespace skein {

struct HfPipeline {
  bool nfc = false;
  PreTokenizer pre_tokenizer;
  std::vector<int32_t> prefix, suffix;  // ids that the post-processor puts around a text
};

// `tokenizer` is the whole file. Parts that skein does not have are added to `missing`, for one
// error that names them all; the result is of no use then. InvalidArgument, naming the field, for
// what no tokenizer can mean.
absl::StatusOr<HfPipeline> ParseHfPipeline(const boost::json::object& tokenizer,
                                           std::vector<std::string>* missing);

}  // namespace skein
