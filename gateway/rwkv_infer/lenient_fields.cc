#include "gateway/rwkv_infer/lenient_fields.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"

#include "common/base/log.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53

json::value AsNumber(const json::value& value) {
  if (!value.is_string()) return value;
  double number = 0;
  if (!absl::SimpleAtod(StringOf(value), &number) || !std::isfinite(number)) return value;
  return number;
}

json::value AsInteger(const json::value& value) {
  int64_t integer = 0;
  if (value.is_string() && absl::SimpleAtoi(StringOf(value), &integer)) return integer;
  const json::value number = AsNumber(value);
  if (!number.is_double()) return value;
  const double real = number.get_double();
  if (std::floor(real) != real || std::abs(real) > kMaxExactInteger) return value;
  return static_cast<int64_t>(real);
}

json::value AsBool(const json::value& value) {
  if (!value.is_string()) return value;
  const std::string text = StringOf(value);
  if (absl::EqualsIgnoreCase(text, "true")) return true;
  if (absl::EqualsIgnoreCase(text, "false")) return false;
  return value;
}

json::value AsNumbers(const json::value& value) {
  if (!value.is_array()) return value;
  json::array numbers;
  for (const json::value& element : value.get_array()) numbers.push_back(AsNumber(element));
  return numbers;
}

}  // namespace

json::value Lenient(FieldType type, const json::value& value) {
  switch (type) {
    case FieldType::kNumber:
      return AsNumber(value);
    case FieldType::kInteger:
      return AsInteger(value);
    case FieldType::kNumbers:
      return AsNumbers(value);
    case FieldType::kBool:
      return AsBool(value);
    default:
      return value;
  }
}

json::object KnownFields(const json::object& body, const std::vector<FieldSpec>& fields) {
  json::object known;
  std::vector<std::string> ignored;
  for (const auto& member : body) {
    const absl::string_view key(member.key().data(), member.key().size());
    const auto field = std::find_if(fields.begin(), fields.end(), [key](const FieldSpec& spec) {
      return key == spec.name && spec.use == FieldUse::kHonoured;
    });
    if (field == fields.end()) {
      ignored.emplace_back(key);
    } else {
      known[member.key()] = Lenient(field->type, member.value());
    }
  }
  if (!ignored.empty() && LogEnabled(LogLevel::kDebug)) {
    LogDebug("fields ignored", {{"fields", absl::StrJoin(ignored, ",")}});
  }
  return known;
}

}  // namespace skein
