// Tables of the fields of a JSON body. A table is the one truth about an endpoint: the parser,
// /openapi.json, the reference in docs/api.md and the tests all walk it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "boost/json/object.hpp"
#include "boost/json/value.hpp"

#include "common/base/status_macros.h"

namespace skein {

enum class FieldUse {
  kHonoured,
  kNoEffect,  // its type is checked, then it is ignored, as the reference says
  kRefused,   // an error, but for the one value `only`
};

enum class FieldType {
  kBool,
  kInteger,
  kNumber,
  kString,     // `range` is of its bytes
  kEnum,       // one of `values`, separated by '|'
  kStop,       // a string or a list of strings; `range` is of their number
  kNumbers,    // a list of numbers; `range` is of how many
  kTokenIds,   // a list of token ids; `range` is of their number
  kTokenBias,  // {"token id": number}; `range` is of the numbers
  kStringMap,  // {"key": "text"}
  kOptions,    // an object that the setter reads with a table of its own
  kObjects,    // a list of such objects; `range` is of their number
  kMessages,   // a list of chat messages; the setter checks it
  kPrompt,     // text, token ids, or a list of either; the setter checks it
  kAny,        // of refused fields
};

struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool above_min = false;  // `min` itself is outside
};

struct FieldSpec {
  const char* name;
  FieldType type;
  Range range = {};
  const char* default_value = "";  // for the reference
  const char* effect;              // for the reference; of a refused field, the reason
  FieldUse use = FieldUse::kHonoured;
  const char* values = "";  // of an enum
  const char* only = "";    // JSON text of the one value that a refused field may have
  bool required = false;
  const char* schema = "";  // of kOptions and kObjects: what /openapi.json calls such an object
};

// `set` stores a value that CheckField has accepted; null for fields that are not honoured.
template <typename T>
struct Field {
  FieldSpec spec;
  absl::Status (*set)(const boost::json::value& value, T& out) = nullptr;
};

template <typename T>
using FieldTable = std::vector<Field<T>>;

// InvalidArgument naming `path` unless `value`, which is not null, fits `spec`.
absl::Status CheckField(const FieldSpec& spec, absl::string_view path,
                        const boost::json::value& value);
absl::Status UnknownField(absl::string_view path);
absl::Status MissingField(absl::string_view path, const FieldSpec& spec);
// InvalidArgument "PATH: found VALUE, expected EXPECTED".
absl::Status WrongType(absl::string_view path, const boost::json::value& value,
                       absl::string_view expected);
// A token id: an integer of 32 bits without sign. Whether the model has it, only its worker knows.
absl::StatusOr<uint32_t> TokenId(absl::string_view path, const boost::json::value& value);

// What a reader of the reference sees: "number", "0 to 2".
std::string TypeText(const FieldSpec& spec);
std::string RangeText(const FieldSpec& spec);
// One row of the tables in docs/api.md: name, type, range, default, effect.
std::string ReferenceRow(const FieldSpec& spec);
// The specs of a table.
template <typename T>
std::vector<FieldSpec> Specs(const FieldTable<T>& table) {
  std::vector<FieldSpec> specs;
  for (const Field<T>& field : table) specs.push_back(field.spec);
  return specs;
}

// Of values that CheckField has accepted.
float FloatOf(const boost::json::value& value);
int64_t IntOf(const boost::json::value& value);
std::string StringOf(const boost::json::value& value);

// Reads all of `body` into `out`. A null stands for an absent field. `prefix` precedes names in
// errors: "messages[2].".
template <typename T>
absl::Status ReadFields(const boost::json::object& body, const FieldTable<T>& table,
                        absl::string_view prefix, T& out) {
  for (const auto& member : body) {
    const absl::string_view key(member.key().data(), member.key().size());
    const std::string path = absl::StrCat(prefix, key);
    const Field<T>* found = nullptr;
    for (const Field<T>& field : table) {
      if (key == field.spec.name) found = &field;
    }
    if (found == nullptr) return UnknownField(path);
    if (member.value().is_null()) continue;
    RETURN_IF_ERROR(CheckField(found->spec, path, member.value()));
    if (found->set != nullptr) RETURN_IF_ERROR(found->set(member.value(), out));
  }
  for (const Field<T>& field : table) {
    if (!field.spec.required) continue;
    const boost::json::value* value = body.if_contains(field.spec.name);
    if (value == nullptr || value->is_null()) {
      return MissingField(absl::StrCat(prefix, field.spec.name), field.spec);
    }
  }
  return absl::OkStatus();
}

}  // namespace skein
