#include "common/text/hf_pipeline.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/text/json.h"

namespace skein {
namespace {

namespace json = boost::json;
using Missing = std::vector<std::string>;

absl::StatusOr<std::string> TypeOf(const json::object& part, absl::string_view where) {
  absl::StatusOr<std::string> type = StringField(part, "type", where);
  if (type.ok() && type->empty()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".type: missing"));
  }
  return type;
}

absl::StatusOr<const json::object*> AsObject(const json::value& value, absl::string_view where) {
  if (!value.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": expected an object"));
  }
  return &value.get_object();
}

// Calls `parse(part, where)` for the members of a Sequence in order, or for the part alone.
template <typename Parse>
absl::Status ForEachPart(const json::object& part, const std::string& where,
                         absl::string_view list_key, const Parse& parse) {
  const absl::StatusOr<std::string> type = TypeOf(part, where);
  if (!type.ok()) return type.status();
  if (*type != "Sequence") return parse(part, *type, where);
  ASSIGN_OR_RETURN(const json::array* list, ArrayField(part, list_key, where));
  if (list == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(where, ".", list_key, ": missing"));
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string member = absl::StrCat(where, ".", list_key, "[", i, "]");
    ASSIGN_OR_RETURN(const json::object* object, AsObject((*list)[i], member));
    RETURN_IF_ERROR(ForEachPart(*object, member, list_key, parse));
  }
  return absl::OkStatus();
}

absl::Status ParseNormalizer(const json::object& tokenizer, HfPipeline* pipeline,
                             Missing* missing) {
  ASSIGN_OR_RETURN(const json::object* normalizer, ObjectField(tokenizer, "normalizer", ""));
  if (normalizer == nullptr) return absl::OkStatus();
  const auto parse = [&](const json::object&, const std::string& type, const std::string&) {
    if (type == "NFC") {
      pipeline->nfc = true;
    } else {
      missing->push_back(absl::StrCat("normalizer ", type));
    }
    return absl::OkStatus();
  };
  return ForEachPart(*normalizer, "normalizer", "normalizers", parse);
}

std::optional<Splitter::Behavior> ParseBehavior(absl::string_view name) {
  using Behavior = Splitter::Behavior;
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return std::nullopt;
}

// {"Regex": "..."} or {"String": "..."}.
absl::StatusOr<Pattern> ParsePattern(const json::object& split, absl::string_view where) {
  ASSIGN_OR_RETURN(const json::object* pattern, ObjectField(split, "pattern", where));
  if (pattern == nullptr) return absl::InvalidArgumentError("pattern: missing");
  ASSIGN_OR_RETURN(const std::string regex, StringField(*pattern, "Regex", "pattern"));
  if (!regex.empty()) return Pattern::Compile(regex);
  ASSIGN_OR_RETURN(const std::string literal, StringField(*pattern, "String", "pattern"));
  return Pattern::Literal(literal);
}

absl::StatusOr<Splitter> ParseSplit(const json::object& split, const std::string& where) {
  auto pattern = ParsePattern(split, where);
  if (!pattern.ok()) {
    return absl::Status(pattern.status().code(),
                        absl::StrCat(where, ": ", pattern.status().message()));
  }
  ASSIGN_OR_RETURN(const std::string name, StringField(split, "behavior", where));
  const std::optional<Splitter::Behavior> behavior = ParseBehavior(name);
  if (!behavior.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ".behavior: \"", name,
        "\", expected Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous"));
  }
  ASSIGN_OR_RETURN(const bool invert, BoolField(split, "invert", where));
  return Splitter(*std::move(pattern), *behavior, invert);
}

absl::StatusOr<Splitter> ParseDigits(const json::object& digits, const std::string& where) {
  ASSIGN_OR_RETURN(const bool individual, BoolField(digits, "individual_digits", where));
  ASSIGN_OR_RETURN(Pattern pattern, Pattern::Compile("\\p{N}"));
  using Behavior = Splitter::Behavior;
  return Splitter(std::move(pattern), individual ? Behavior::kIsolated : Behavior::kContiguous,
                  false);
}

absl::Status ParseByteLevel(const json::object& byte_level, const std::string& where,
                            PreTokenizer* pre_tokenizer) {
  ASSIGN_OR_RETURN(const bool add_prefix_space,
                   BoolField(byte_level, "add_prefix_space", where, true));
  ASSIGN_OR_RETURN(const bool use_regex, BoolField(byte_level, "use_regex", where, true));
  pre_tokenizer->set_add_prefix_space(add_prefix_space);
  return use_regex ? pre_tokenizer->UseByteLevelPattern() : absl::OkStatus();
}

absl::Status ParsePreTokenizer(const json::object& tokenizer, HfPipeline* pipeline,
                               Missing* missing) {
  ASSIGN_OR_RETURN(const json::object* pre_tokenizer, ObjectField(tokenizer, "pre_tokenizer", ""));
  bool byte_level = false;
  const auto parse = [&](const json::object& part, const std::string& type,
                         const std::string& where) -> absl::Status {
    if (byte_level) {  // what follows would see the byte-level characters
      missing->push_back(absl::StrCat("pre_tokenizer ", type, " after ByteLevel"));
    } else if (type == "Split") {
      ASSIGN_OR_RETURN(Splitter splitter, ParseSplit(part, where));
      pipeline->pre_tokenizer.AddSplit(std::move(splitter));
    } else if (type == "Digits") {
      ASSIGN_OR_RETURN(Splitter splitter, ParseDigits(part, where));
      pipeline->pre_tokenizer.AddSplit(std::move(splitter));
    } else if (type == "ByteLevel") {
      byte_level = true;
      return ParseByteLevel(part, where, &pipeline->pre_tokenizer);
    } else {
      missing->push_back(absl::StrCat("pre_tokenizer ", type));
    }
    return absl::OkStatus();
  };
  if (pre_tokenizer != nullptr) {
    RETURN_IF_ERROR(ForEachPart(*pre_tokenizer, "pre_tokenizer", "pretokenizers", parse));
  }
  if (!byte_level) missing->push_back("a model without the ByteLevel pre_tokenizer");
  return absl::OkStatus();
}

// Appends the ids that `special_tokens` of a TemplateProcessing lists for `name`.
absl::Status AppendSpecial(const json::object& processor, absl::string_view name,
                           const std::string& where, std::vector<int32_t>* ids) {
  ASSIGN_OR_RETURN(const json::object* table, ObjectField(processor, "special_tokens", where));
  const json::array* list = nullptr;
  if (table != nullptr) {
    ASSIGN_OR_RETURN(const json::object* token, ObjectField(*table, name, where));
    if (token != nullptr) {
      ASSIGN_OR_RETURN(list, ArrayField(*token, "ids", where));
    }
  }
  if (list == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ".special_tokens: no ids for \"", name, "\""));
  }
  for (const json::value& value : *list) {
    const std::optional<int32_t> id = AsTokenId(value);
    if (!id.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(where, ".special_tokens: an id that is no token id"));
    }
    ids->push_back(*id);
  }
  return absl::OkStatus();
}

// What `single`, the template for one text, puts before and behind the text.
absl::Status ParseTemplate(const json::object& processor, const std::string& where,
                           HfPipeline* pipeline) {
  ASSIGN_OR_RETURN(const json::array* single, ArrayField(processor, "single", where));
  if (single == nullptr) return absl::InvalidArgumentError(absl::StrCat(where, ".single: missing"));
  std::vector<int32_t> before, behind;
  bool text_seen = false;
  for (size_t i = 0; i < single->size(); ++i) {
    const std::string member = absl::StrCat(where, ".single[", i, "]");
    ASSIGN_OR_RETURN(const json::object* item, AsObject((*single)[i], member));
    ASSIGN_OR_RETURN(const json::object* special, ObjectField(*item, "SpecialToken", member));
    ASSIGN_OR_RETURN(const json::object* sequence, ObjectField(*item, "Sequence", member));
    if ((special == nullptr) == (sequence == nullptr) || (sequence != nullptr && text_seen)) {
      return absl::InvalidArgumentError(
          absl::StrCat(member, ": expected a SpecialToken, or the one Sequence of the template"));
    }
    text_seen = text_seen || sequence != nullptr;
    if (special == nullptr) continue;
    ASSIGN_OR_RETURN(const std::string name, StringField(*special, "id", member));
    RETURN_IF_ERROR(AppendSpecial(processor, name, where, text_seen ? &behind : &before));
  }
  if (!text_seen) return absl::InvalidArgumentError(absl::StrCat(where, ".single: no Sequence"));
  pipeline->prefix.insert(pipeline->prefix.begin(), before.begin(), before.end());
  pipeline->suffix.insert(pipeline->suffix.end(), behind.begin(), behind.end());
  return absl::OkStatus();
}

absl::Status ParsePostProcessor(const json::object& tokenizer, HfPipeline* pipeline,
                                Missing* missing) {
  ASSIGN_OR_RETURN(const json::object* processor, ObjectField(tokenizer, "post_processor", ""));
  if (processor == nullptr) return absl::OkStatus();
  const auto parse = [&](const json::object& part, const std::string& type,
                         const std::string& where) {
    if (type == "TemplateProcessing") return ParseTemplate(part, where, pipeline);
    if (type != "ByteLevel") missing->push_back(absl::StrCat("post_processor ", type));
    return absl::OkStatus();
  };
  return ForEachPart(*processor, "post_processor", "processors", parse);
}

absl::Status ParseDecoder(const json::object& tokenizer, Missing* missing) {
  ASSIGN_OR_RETURN(const json::object* decoder, ObjectField(tokenizer, "decoder", ""));
  if (decoder == nullptr) {
    missing->push_back("a model without the ByteLevel decoder");
    return absl::OkStatus();
  }
  const auto parse = [&](const json::object&, const std::string& type, const std::string&) {
    if (type != "ByteLevel") missing->push_back(absl::StrCat("decoder ", type));
    return absl::OkStatus();
  };
  return ForEachPart(*decoder, "decoder", "decoders", parse);
}

}  // namespace

absl::StatusOr<HfPipeline> ParseHfPipeline(const json::object& tokenizer, Missing* missing) {
  HfPipeline pipeline;
  RETURN_IF_ERROR(ParseNormalizer(tokenizer, &pipeline, missing));
  RETURN_IF_ERROR(ParsePreTokenizer(tokenizer, &pipeline, missing));
  RETURN_IF_ERROR(ParsePostProcessor(tokenizer, &pipeline, missing));
  RETURN_IF_ERROR(ParseDecoder(tokenizer, missing));
  return pipeline;
}

}  // namespace skein
