// LoadHfTokenizer: from the JSON of a tokenizer.json to an HfTokenizer.
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/status_macros.h"
#include "common/text/byte_level.h"
#include "common/text/hf_pipeline.h"
#include "common/text/hf_tokenizer.h"
#include "common/text/hf_vocabulary.h"
#include "common/text/json.h"
#include "common/text/normalizer.h"

namespace skein {
namespace {

using Kind = HfTokenizer::Kind;

std::vector<HfTokenizer::Token> Tokens(const HfVocabulary& vocabulary,
                                       const std::vector<AddedToken>& added) {
  size_t count = vocabulary.spellings.size();
  for (const AddedToken& token : added) count = std::max(count, static_cast<size_t>(token.id) + 1);
  std::vector<HfTokenizer::Token> tokens(count);
  for (size_t id = 0; id < vocabulary.spellings.size(); ++id) {
    const std::string& spelling = vocabulary.spellings[id];
    if (spelling.empty()) continue;
    tokens[id] = {Kind::kText, FromByteLevel(spelling).value_or(spelling)};
  }
  for (const AddedToken& token : added) {
    tokens[token.id] = {token.special ? Kind::kSpecial : Kind::kText, token.content};
  }
  return tokens;
}

// Pieces become the tokens that are spelled in the byte-level alphabet, which added tokens may be,
// too.
BpeModel MakeModel(const HfVocabulary& vocabulary) {
  BpeModel::Spec spec;
  spec.tokens.resize(vocabulary.spellings.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    spec.tokens[id] = FromByteLevel(vocabulary.spellings[id]).value_or(std::string());
  }
  spec.merges = vocabulary.merges;
  spec.ignore_merges = vocabulary.ignore_merges;
  spec.unknown_id = vocabulary.unknown_id;
  spec.fuse_unknown = vocabulary.fuse_unknown;
  return BpeModel(spec);
}

absl::Status CheckTemplateIds(const HfPipeline& pipeline,
                              const std::vector<HfTokenizer::Token>& tokens) {
  for (const std::vector<int32_t>* ids : {&pipeline.prefix, &pipeline.suffix}) {
    for (const int32_t id : *ids) {
      if (static_cast<size_t>(id) < tokens.size() && tokens[id].kind != Kind::kNone) continue;
      return absl::InvalidArgumentError(absl::StrCat("post_processor: id ", id, " has no token"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<HfTokenizer::Parts> MakeParts(const boost::json::object& file,
                                             const boost::json::object* config) {
  std::vector<std::string> missing;
  ASSIGN_OR_RETURN(HfPipeline pipeline, ParseHfPipeline(file, &missing));
  ASSIGN_OR_RETURN(const HfVocabulary vocabulary, ParseHfVocabulary(file, &missing));
  if (!missing.empty()) {
    return absl::UnimplementedError(absl::StrCat("this tokenizer needs what skein does not have: ",
                                                 absl::StrJoin(missing, ", ")));
  }
  ASSIGN_OR_RETURN(std::vector<AddedToken> added, ParseAddedTokens(file, config, vocabulary));
  HfTokenizer::Parts parts;
  parts.tokens = Tokens(vocabulary, added);
  RETURN_IF_ERROR(CheckTemplateIds(pipeline, parts.tokens));
  parts.model = MakeModel(vocabulary);
  for (const AddedToken& token : added) parts.ids.emplace(token.content, token.id);
  for (size_t id = 0; id < parts.tokens.size(); ++id) {
    if (parts.tokens[id].kind != Kind::kNone) {
      parts.ids.emplace(parts.tokens[id].bytes, static_cast<int32_t>(id));
    }
  }
  std::vector<AddedToken> raw, normalized;
  for (AddedToken& token : added) {
    if (token.normalized && pipeline.nfc) token.content = NormalizeNfc(token.content);
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  parts.raw_added = AddedTokenSplitter(std::move(raw));
  parts.normalized_added = AddedTokenSplitter(std::move(normalized));
  parts.nfc = pipeline.nfc;
  parts.pre_tokenizer = std::move(pipeline.pre_tokenizer);
  parts.prefix = std::move(pipeline.prefix);
  parts.suffix = std::move(pipeline.suffix);
  return parts;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadHfTokenizer(const std::string& path) {
  ASSIGN_OR_RETURN(const boost::json::object file, ReadJsonObject(path));
  const auto beside = std::filesystem::path(path).parent_path() / "tokenizer_config.json";
  std::optional<boost::json::object> config;
  if (std::error_code error; std::filesystem::exists(beside, error)) {
    ASSIGN_OR_RETURN(config, ReadJsonObject(beside.string()));
  }
  auto parts = MakeParts(file, config.has_value() ? &*config : nullptr);
  if (!parts.ok()) {
    return absl::Status(parts.status().code(), absl::StrCat(path, ": ", parts.status().message()));
  }
  return std::unique_ptr<Tokenizer>(std::make_unique<HfTokenizer>(*std::move(parts)));
}

}  // namespace skein
