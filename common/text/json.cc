#include "common/text/json.h"

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

namespace json = boost::json;

constexpr size_t kMaxDepth = 64;

absl::Status WrongType(absl::string_view where, absl::string_view key, const json::value& found,
                       absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(where, where.empty() ? "" : ".", key, ": ",
                                                 View(json::to_string(found.kind())), ", expected ",
                                                 expected));
}

}  // namespace

absl::StatusOr<std::string> ReadTextFile(const std::string& path, int64_t max_bytes) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  const auto size = static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error || size > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", size, " bytes, expected ", max_bytes, " at most"));
  }
  std::string text(static_cast<size_t>(size), '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(text.data(), size);
  if (!file) return absl::InvalidArgumentError(absl::StrCat(path, ": cannot be read"));
  return text;
}

absl::StatusOr<json::value> ParseJson(absl::string_view text, absl::string_view name) {
  json::parse_options options;
  options.max_depth = kMaxDepth;
  json::stream_parser parser(json::storage_ptr(), options);
  json::error_code error;
  size_t parsed = 0;
  try {
    parsed = parser.write_some(text.data(), text.size(), error);
    if (!error && parsed < text.size()) error = json::error::extra_data;
    if (!error) parser.finish(error);
    if (!error) return parser.release();
  } catch (const std::exception& e) {  // a string or an array beyond the library's own limits
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", e.what()));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": not JSON: ", error.message(), " at byte ", parsed));
}

absl::StatusOr<json::object> ReadJsonObject(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  ASSIGN_OR_RETURN(json::value value, ParseJson(text, path));
  if (!value.is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", View(json::to_string(value.kind())), ", expected an object"));
  }
  return std::move(value.as_object());
}

const json::value* FindField(const json::object& object, absl::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

absl::StatusOr<bool> BoolField(const json::object& object, absl::string_view key,
                               absl::string_view where, bool fallback) {
  const json::value* value = FindField(object, key);
  if (value == nullptr) return fallback;
  if (!value->is_bool()) return WrongType(where, key, *value, "true or false");
  return value->get_bool();
}

absl::StatusOr<std::string> StringField(const json::object& object, absl::string_view key,
                                        absl::string_view where) {
  const json::value* value = FindField(object, key);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return WrongType(where, key, *value, "a string");
  return std::string(View(value->get_string()));
}

absl::StatusOr<const json::object*> ObjectField(const json::object& object, absl::string_view key,
                                                absl::string_view where) {
  const json::value* value = FindField(object, key);
  if (value != nullptr && !value->is_object()) return WrongType(where, key, *value, "an object");
  return value == nullptr ? nullptr : &value->get_object();
}

absl::StatusOr<const json::array*> ArrayField(const json::object& object, absl::string_view key,
                                              absl::string_view where) {
  const json::value* value = FindField(object, key);
  if (value != nullptr && !value->is_array()) return WrongType(where, key, *value, "an array");
  return value == nullptr ? nullptr : &value->get_array();
}

std::optional<int32_t> AsTokenId(const json::value& value) {
  json::error_code error;
  const auto id = value.to_number<int64_t>(error);
  if (error || id < 0 || id > kMaxTokenId || value.is_double()) return std::nullopt;
  return static_cast<int32_t>(id);
}

}  // namespace skein
