#include "gateway/endpoints/field_table.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "boost/json/parse.hpp"
#include "boost/json/serialize.hpp"

#include "gateway/endpoints/errors.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr double kMaxTokenId = std::numeric_limits<uint32_t>::max();

// At most some bytes of `text`, whole characters.
std::string Shorten(std::string text) {
  constexpr size_t kMaxBytes = 64;
  if (text.size() <= kMaxBytes) return text;
  size_t end = kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

// `value` as an error message shows it: one short line.
std::string Brief(const json::value& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return absl::StrCat("a list of ", value.get_array().size());
  return Shorten(json::serialize(value));
}

// A value that leaves the range by becoming a float would surprise the worker, so both must be
// inside.
bool InRange(const Range& range, double value) {
  if (!(std::abs(value) <= std::numeric_limits<float>::max())) return false;
  const double narrowed = static_cast<float>(value);
  if (std::min(value, narrowed) < range.min || std::max(value, narrowed) > range.max) return false;
  return !range.above_min || std::min(value, narrowed) > range.min;
}

std::string NumberText(double value) {
  const bool integral = std::abs(value) < 1e15 && std::floor(value) == value;
  return integral ? absl::StrCat(static_cast<int64_t>(value)) : absl::StrCat(value);
}

std::string Describe(const Range& range) {
  const bool low = std::isfinite(range.min);
  const bool high = std::isfinite(range.max);
  const std::string min = NumberText(range.min);
  const std::string max = NumberText(range.max);
  if (low && high) {
    return range.above_min ? absl::StrCat("above ", min, ", at most ", max)
                           : absl::StrCat(min, " to ", max);
  }
  if (low) return absl::StrCat(range.above_min ? "above " : "at least ", min);
  return high ? absl::StrCat("at most ", max) : "";
}

absl::Status OutOfRange(absl::string_view path, const json::value& value, const FieldSpec& spec) {
  return WithCode(
      FieldError(path, absl::StrCat("found ", Brief(value), ", expected ",
                                    spec.type == FieldType::kInteger ? "an integer " : "a number ",
                                    Describe(spec.range))),
      "invalid_value");
}

absl::Status CheckNumber(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_number()) return WrongType(path, value, "a number");
  if (!InRange(spec.range, value.to_number<double>())) return OutOfRange(path, value, spec);
  return absl::OkStatus();
}

absl::Status CheckInteger(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_int64() && !value.is_uint64()) return WrongType(path, value, "an integer");
  const auto number = value.to_number<double>();
  if (number < spec.range.min || number > spec.range.max) return OutOfRange(path, value, spec);
  return absl::OkStatus();
}

absl::Status CheckCount(const FieldSpec& spec, absl::string_view path, size_t count,
                        absl::string_view unit) {
  const auto number = static_cast<double>(count);
  if (number >= spec.range.min && number <= spec.range.max) return absl::OkStatus();
  return WithCode(FieldError(path, absl::StrCat("found ", count, " ", unit, ", expected ",
                                                Describe(spec.range))),
                  "invalid_value");
}

absl::Status CheckString(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_string()) return WrongType(path, value, "a string");
  return CheckCount(spec, path, value.get_string().size(), "bytes");
}

absl::Status CheckEnum(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_string()) return WrongType(path, value, "a string");
  for (const absl::string_view allowed : absl::StrSplit(spec.values, '|')) {
    if (StringOf(value) == allowed) return absl::OkStatus();
  }
  return WithCode(
      FieldError(path, absl::StrCat("found ", Brief(value), ", expected ", RangeText(spec))),
      "invalid_value");
}

absl::Status CheckStop(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (value.is_string()) return absl::OkStatus();
  if (!value.is_array()) return WrongType(path, value, "a string or a list of strings");
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_string()) continue;
    return WrongType(absl::StrCat(path, "[", i, "]"), list[i], "a string");
  }
  return CheckCount(spec, path, list.size(), "strings");
}

absl::Status CheckNumbers(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_array()) return WrongType(path, value, "a list of numbers");
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    RETURN_IF_ERROR(CheckNumber({.name = "", .type = FieldType::kNumber, .effect = ""},
                                absl::StrCat(path, "[", i, "]"), list[i]));
  }
  return CheckCount(spec, path, list.size(), "numbers");
}

absl::Status CheckTokenIds(const FieldSpec& spec, absl::string_view path,
                           const json::value& value) {
  if (!value.is_array()) return WrongType(path, value, "a list of token ids");
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    const auto id = TokenId(absl::StrCat(path, "[", i, "]"), list[i]);
    if (!id.ok()) return id.status();
  }
  return CheckCount(spec, path, list.size(), "token ids");
}

absl::Status CheckObjects(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (!value.is_array()) return WrongType(path, value, "a list of objects");
  const json::array& list = value.get_array();
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_object()) continue;
    return WrongType(absl::StrCat(path, "[", i, "]"), list[i], "an object");
  }
  return CheckCount(spec, path, list.size(), "objects");
}

absl::Status CheckTokenBias(const FieldSpec& spec, absl::string_view path,
                            const json::value& value) {
  if (!value.is_object()) return WrongType(path, value, "an object of token ids and numbers");
  for (const auto& member : value.get_object()) {
    const absl::string_view key(member.key().data(), member.key().size());
    const std::string member_path = Shorten(absl::StrCat(path, ".", key));
    uint32_t id = 0;
    if (key.empty() || !std::all_of(key.begin(), key.end(), absl::ascii_isdigit) ||
        !absl::SimpleAtoi(key, &id)) {
      return WithCode(FieldError(member_path, "the key is not a token id"), "invalid_value");
    }
    if (!member.value().is_number()) return WrongType(member_path, member.value(), "a number");
    RETURN_IF_ERROR(CheckNumber(
        {.name = spec.name, .type = FieldType::kNumber, .range = spec.range, .effect = ""},
        member_path, member.value()));
  }
  return absl::OkStatus();
}

absl::Status CheckStringMap(absl::string_view path, const json::value& value) {
  if (!value.is_object()) return WrongType(path, value, "an object of strings");
  for (const auto& member : value.get_object()) {
    if (member.value().is_string()) continue;
    return WrongType(Shorten(absl::StrCat(path, ".", std::string(member.key()))), member.value(),
                     "a string");
  }
  return absl::OkStatus();
}

absl::Status CheckRefused(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (*spec.only == '\0') {
    return WithCode(FieldError(path, absl::StrCat("not supported: ", spec.effect)),
                    "unsupported_parameter");
  }
  if (value == json::parse(spec.only)) return absl::OkStatus();
  return WithCode(FieldError(path, absl::StrCat("found ", Brief(value), ", only ", spec.only,
                                                " is supported: ", spec.effect)),
                  "unsupported_value");
}

const char* UnitOf(FieldType type) {
  if (type == FieldType::kString) return " bytes";
  if (type == FieldType::kStop) return " strings";
  if (type == FieldType::kObjects) return " objects";
  if (type == FieldType::kNumbers) return " numbers";
  return type == FieldType::kTokenIds ? " ids" : "";
}

}  // namespace

absl::Status CheckField(const FieldSpec& spec, absl::string_view path, const json::value& value) {
  if (spec.use == FieldUse::kRefused) return CheckRefused(spec, path, value);
  switch (spec.type) {
    case FieldType::kBool:
      return value.is_bool() ? absl::OkStatus() : WrongType(path, value, "true or false");
    case FieldType::kInteger:
      return CheckInteger(spec, path, value);
    case FieldType::kNumber:
      return CheckNumber(spec, path, value);
    case FieldType::kString:
      return CheckString(spec, path, value);
    case FieldType::kEnum:
      return CheckEnum(spec, path, value);
    case FieldType::kStop:
      return CheckStop(spec, path, value);
    case FieldType::kNumbers:
      return CheckNumbers(spec, path, value);
    case FieldType::kTokenIds:
      return CheckTokenIds(spec, path, value);
    case FieldType::kTokenBias:
      return CheckTokenBias(spec, path, value);
    case FieldType::kStringMap:
      return CheckStringMap(path, value);
    case FieldType::kOptions:
      return value.is_object() ? absl::OkStatus() : WrongType(path, value, "an object");
    case FieldType::kObjects:
      return CheckObjects(spec, path, value);
    case FieldType::kMessages:
    case FieldType::kPrompt:
    case FieldType::kAny:
      break;
  }
  return absl::OkStatus();
}

absl::Status UnknownField(absl::string_view path) {
  return WithCode(FieldError(Shorten(std::string(path)), "unknown field"), "unknown_parameter");
}

absl::Status MissingField(absl::string_view path, const FieldSpec& spec) {
  return WithCode(FieldError(path, absl::StrCat("missing, expected ", TypeText(spec))),
                  "missing_required_parameter");
}

absl::Status WrongType(absl::string_view path, const json::value& value,
                       absl::string_view expected) {
  return WithCode(FieldError(path, absl::StrCat("found ", Brief(value), ", expected ", expected)),
                  "invalid_type");
}

absl::StatusOr<uint32_t> TokenId(absl::string_view path, const json::value& value) {
  const bool integer = value.is_int64() || value.is_uint64();
  if (!integer) return WrongType(path, value, "a token id");
  const auto number = value.to_number<double>();
  if (number < 0 || number > kMaxTokenId) return WrongType(path, value, "a token id");
  return static_cast<uint32_t>(number);
}

std::string TypeText(const FieldSpec& spec) {
  switch (spec.type) {
    case FieldType::kBool:
      return "boolean";
    case FieldType::kInteger:
      return "integer";
    case FieldType::kNumber:
      return "number";
    case FieldType::kString:
    case FieldType::kEnum:
      return "string";
    case FieldType::kStop:
      return "string or list of strings";
    case FieldType::kNumbers:
      return "list of numbers";
    case FieldType::kTokenIds:
      return "list of token ids";
    case FieldType::kTokenBias:
      return "object: token id to number";
    case FieldType::kStringMap:
      return "object of strings";
    case FieldType::kOptions:
      return "object";
    case FieldType::kObjects:
      return "list of objects";
    case FieldType::kMessages:
      return "list of messages";
    case FieldType::kPrompt:
      return "string, list of strings, token ids, or list of token ids";
    case FieldType::kAny:
      break;
  }
  return "any";
}

std::string RangeText(const FieldSpec& spec) {
  if (spec.use == FieldUse::kRefused) {
    return *spec.only == '\0' ? "" : absl::StrCat("only `", spec.only, "`");
  }
  if (spec.type == FieldType::kEnum) {
    return absl::StrCat("\"", absl::StrReplaceAll(spec.values, {{"|", "\" or \""}}), "\"");
  }
  const std::string range = Describe(spec.range);
  return range.empty() ? "" : absl::StrCat(range, UnitOf(spec.type));
}

std::string ReferenceRow(const FieldSpec& spec) {
  const bool refused = spec.use == FieldUse::kRefused;
  return absl::StrCat("| `", spec.name, "` | ", refused ? "" : TypeText(spec), " | ",
                      RangeText(spec), " | ", spec.required ? "required" : spec.default_value,
                      " | ", refused ? "Refused: " : "", spec.effect, " |");
}

float FloatOf(const json::value& value) { return static_cast<float>(value.to_number<double>()); }

int64_t IntOf(const json::value& value) {
  // Above int64 the bits are kept, so that a seed may be any number of 64 bits.
  return value.is_uint64() ? static_cast<int64_t>(value.get_uint64()) : value.get_int64();
}

std::string StringOf(const json::value& value) {
  const json::string& text = value.get_string();
  return std::string(text.data(), text.size());
}

}  // namespace skein
