#include "common/text/hf_vocabulary.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/text/json.h"

namespace skein {
namespace {

namespace json = boost::json;
using AddedTokens = std::map<int32_t, AddedToken>;  // by id

absl::Status ParseVocab(const json::object& model, HfVocabulary* vocabulary) {
  ASSIGN_OR_RETURN(const json::object* vocab, ObjectField(model, "vocab", "model"));
  if (vocab == nullptr || vocab->empty()) {
    return absl::InvalidArgumentError("model.vocab: missing or empty");
  }
  vocabulary->ids.reserve(vocab->size());
  for (const auto& [key, value] : *vocab) {
    const std::string spelling(View(key));
    const std::optional<int32_t> id = AsTokenId(value);
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.vocab: \"", spelling, "\" has no id from 0 to ", kMaxTokenId));
    }
    if (spelling.empty()) return absl::InvalidArgumentError("model.vocab: an empty token");
    if (vocabulary->spellings.size() <= static_cast<size_t>(*id)) {
      vocabulary->spellings.resize(*id + 1);
    }
    std::string& place = vocabulary->spellings[*id];
    if (!place.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("model.vocab: id ", *id, " for both \"", place,
                                                     "\" and \"", spelling, "\""));
    }
    place = spelling;
    vocabulary->ids.emplace(spelling, *id);
  }
  return absl::OkStatus();
}

// "left right" or ["left", "right"].
std::optional<std::pair<absl::string_view, absl::string_view>> SplitMerge(
    const json::value& merge) {
  if (const json::string* text = merge.if_string()) {
    const absl::string_view both = View(*text);
    const size_t blank = both.find(' ');
    if (blank == absl::string_view::npos || both.find(' ', blank + 1) != absl::string_view::npos) {
      return std::nullopt;
    }
    return std::make_pair(both.substr(0, blank), both.substr(blank + 1));
  }
  const json::array* pair = merge.if_array();
  if (pair == nullptr || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) {
    return std::nullopt;
  }
  return std::make_pair(View((*pair)[0].get_string()), View((*pair)[1].get_string()));
}

absl::Status ParseMerges(const json::object& model, HfVocabulary* vocabulary) {
  ASSIGN_OR_RETURN(const json::array* merges, ArrayField(model, "merges", "model"));
  if (merges == nullptr) return absl::InvalidArgumentError("model.merges: missing");
  vocabulary->merges.reserve(merges->size());
  for (size_t i = 0; i < merges->size(); ++i) {
    const auto pair = SplitMerge((*merges)[i]);
    if (!pair.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("model.merges[", i, "]: expected \"a b\" or [\"a\", \"b\"]"));
    }
    int32_t ids[3];
    const std::string parts[3] = {std::string(pair->first), std::string(pair->second),
                                  absl::StrCat(pair->first, pair->second)};
    for (int k = 0; k < 3; ++k) {
      const auto found = vocabulary->ids.find(parts[k]);
      if (found == vocabulary->ids.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat("model.merges[", i, "]: \"", parts[k], "\" is not in the vocabulary"));
      }
      ids[k] = found->second;
    }
    vocabulary->merges.push_back({ids[0], ids[1], ids[2]});
  }
  return absl::OkStatus();
}

// What is written into the model's part and changes its work.
absl::Status ParseOptions(const json::object& model, HfVocabulary* vocabulary,
                          std::vector<std::string>* missing) {
  ASSIGN_OR_RETURN(vocabulary->ignore_merges, BoolField(model, "ignore_merges", "model"));
  ASSIGN_OR_RETURN(vocabulary->fuse_unknown, BoolField(model, "fuse_unk", "model"));
  ASSIGN_OR_RETURN(const bool byte_fallback, BoolField(model, "byte_fallback", "model"));
  if (byte_fallback) missing->push_back("BPE byte_fallback");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    ASSIGN_OR_RETURN(const std::string text, StringField(model, affix, "model"));
    if (!text.empty()) missing->push_back(absl::StrCat("BPE ", affix));
  }
  const json::value* dropout = FindField(model, "dropout");
  json::error_code error;
  if (dropout != nullptr && (dropout->to_number<double>(error) != 0 || error)) {
    missing->push_back("BPE dropout");
  }
  return absl::OkStatus();
}

absl::StatusOr<AddedToken> ParseAddedToken(int32_t id, const json::object& token,
                                           const std::string& where) {
  AddedToken added;
  added.id = id;
  ASSIGN_OR_RETURN(added.content, StringField(token, "content", where));
  if (added.content.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".content: missing or empty"));
  }
  ASSIGN_OR_RETURN(added.single_word, BoolField(token, "single_word", where));
  ASSIGN_OR_RETURN(added.lstrip, BoolField(token, "lstrip", where));
  ASSIGN_OR_RETURN(added.rstrip, BoolField(token, "rstrip", where));
  ASSIGN_OR_RETURN(added.special, BoolField(token, "special", where));
  ASSIGN_OR_RETURN(added.normalized, BoolField(token, "normalized", where, !added.special));
  return added;
}

// A later token with the same id and content takes the place of the earlier one.
absl::Status Unite(const json::value& value, std::optional<int32_t> id, const std::string& where,
                   AddedTokens* tokens) {
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": expected an object"));
  }
  if (!id.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": no id from 0 to ", kMaxTokenId));
  }
  ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(*id, value.get_object(), where));
  const auto found = tokens->find(*id);
  if (found != tokens->end() && found->second.content != token.content) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": id ", *id, " for both \"",
                                                   found->second.content, "\" and \"",
                                                   token.content, "\""));
  }
  (*tokens)[*id] = std::move(token);
  return absl::OkStatus();
}

absl::Status CheckAgainstVocabulary(const AddedTokens& tokens, const HfVocabulary& vocabulary) {
  absl::flat_hash_map<std::string, int32_t> seen;
  for (const auto& [id, token] : tokens) {
    const bool id_taken = static_cast<size_t>(id) < vocabulary.spellings.size() &&
                          !vocabulary.spellings[id].empty() &&
                          vocabulary.spellings[id] != token.content;
    if (id_taken) {
      return absl::InvalidArgumentError(absl::StrCat("added token \"", token.content, "\": id ", id,
                                                     ", which is \"", vocabulary.spellings[id],
                                                     "\" in model.vocab"));
    }
    const auto in_vocab = vocabulary.ids.find(token.content);
    const auto [other, is_new] = seen.emplace(token.content, id);
    const int32_t other_id = in_vocab != vocabulary.ids.end() ? in_vocab->second : other->second;
    if (other_id != id) {
      return absl::InvalidArgumentError(
          absl::StrCat("added token \"", token.content, "\": ids ", id, " and ", other_id));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HfVocabulary> ParseHfVocabulary(const json::object& tokenizer,
                                               std::vector<std::string>* missing) {
  HfVocabulary vocabulary;
  ASSIGN_OR_RETURN(const json::object* model, ObjectField(tokenizer, "model", ""));
  if (model == nullptr) return absl::InvalidArgumentError("model: missing");
  ASSIGN_OR_RETURN(const std::string type, StringField(*model, "type", "model"));
  // Files from before the field have BPE or WordPiece, which has no merges.
  if (type != "BPE" && !(type.empty() && FindField(*model, "merges") != nullptr)) {
    missing->push_back(absl::StrCat("model ", type.empty() ? "of no type" : type));
    return vocabulary;
  }
  RETURN_IF_ERROR(ParseOptions(*model, &vocabulary, missing));
  RETURN_IF_ERROR(ParseVocab(*model, &vocabulary));
  RETURN_IF_ERROR(ParseMerges(*model, &vocabulary));
  ASSIGN_OR_RETURN(const std::string unknown, StringField(*model, "unk_token", "model"));
  const auto found = vocabulary.ids.find(unknown);
  if (found != vocabulary.ids.end()) vocabulary.unknown_id = found->second;
  return vocabulary;
}

absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const json::object& tokenizer,
                                                         const json::object* config,
                                                         const HfVocabulary& vocabulary) {
  AddedTokens tokens;
  ASSIGN_OR_RETURN(const json::array* list, ArrayField(tokenizer, "added_tokens", ""));
  for (size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const json::value& value = (*list)[i];
    const json::value* id = value.is_object() ? FindField(value.get_object(), "id") : nullptr;
    RETURN_IF_ERROR(Unite(value, id == nullptr ? std::nullopt : AsTokenId(*id),
                          absl::StrCat("added_tokens[", i, "]"), &tokens));
  }
  const json::object* decoder = nullptr;
  if (config != nullptr) {
    ASSIGN_OR_RETURN(decoder, ObjectField(*config, "added_tokens_decoder", "tokenizer_config"));
  }
  if (decoder != nullptr) {
    for (const auto& [key, value] : *decoder) {
      int32_t id = -1;
      const bool is_id = absl::SimpleAtoi(View(key), &id) && id >= 0 && id <= kMaxTokenId;
      RETURN_IF_ERROR(Unite(value, is_id ? std::optional<int32_t>(id) : std::nullopt,
                            absl::StrCat("added_tokens_decoder[\"", View(key), "\"]"), &tokens));
    }
  }
  RETURN_IF_ERROR(CheckAgainstVocabulary(tokens, vocabulary));
  std::vector<AddedToken> sorted;
  for (auto& [id, token] : tokens) sorted.push_back(std::move(token));
  return sorted;
}

}  // namespace skein
