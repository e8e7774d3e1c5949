// The vocabulary of a tokenizer.json: its model, and the tokens added to it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include <boost/json.hpp>

#include "common/text/added_tokens.h"
#include "common/text/bpe_model.h"

namespace skein {

struct HfVocabulary {
  absl::flat_hash_map<std::string, int32_t> ids;  // by the spelling of the file
  std::vector<std::string> spellings;             // by id; empty for ids without a token
  std::vector<BpeModel::Merge> merges;
  bool ignore_merges = false;
  bool fuse_unknown = false;
  int32_t unknown_id = -1;
};

// `tokenizer` is the whole file. As ParseHfPipeline, `missing` takes what skein does not have.
absl::StatusOr<HfVocabulary> ParseHfVocabulary(const boost::json::object& tokenizer,
                                               std::vector<std::string>* missing);

// The `added_tokens` of `tokenizer` united with the `added_tokens_decoder` of `config`, a
// tokenizer_config.json that may be null, in the order of their ids. Where both have a token, the
// flags of `config` count. InvalidArgument if an id or a spelling stands for two tokens, here or in
// `vocabulary`.
absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const boost::json::object& tokenizer,
                                                         const boost::json::object* config,
                                                         const HfVocabulary& vocabulary);

}  // namespace skein
