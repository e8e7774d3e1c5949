// Reading JSON files that may be damaged or hostile: every error names the file or the field.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include <boost/json.hpp>

namespace skein {

// Largest token id that a file may use: beyond, it is damage rather than a vocabulary.
inline constexpr int64_t kMaxTokenId = (int64_t{1} << 22) - 1;

// A whole regular file. NotFound if there is none, InvalidArgument if it is larger than
// `max_bytes`.
absl::StatusOr<std::string> ReadTextFile(const std::string& path,
                                         int64_t max_bytes = int64_t{1} << 28);

// At most 64 levels deep. InvalidArgument, with the place, for anything that is not JSON. `name`
// begins the message.
absl::StatusOr<boost::json::value> ParseJson(absl::string_view text, absl::string_view name);
// The two together; InvalidArgument unless the file holds an object.
absl::StatusOr<boost::json::object> ReadJsonObject(const std::string& path);

// The field, or nullptr if it is absent or null.
const boost::json::value* FindField(const boost::json::object& object, absl::string_view key);
// Typed fields: `fallback` if absent or null, InvalidArgument for another type. `where` is the
// object's path.
absl::StatusOr<bool> BoolField(const boost::json::object& object, absl::string_view key,
                               absl::string_view where, bool fallback = false);
absl::StatusOr<std::string> StringField(const boost::json::object& object, absl::string_view key,
                                        absl::string_view where);
// nullptr if absent or null.
absl::StatusOr<const boost::json::object*> ObjectField(const boost::json::object& object,
                                                       absl::string_view key,
                                                       absl::string_view where);
absl::StatusOr<const boost::json::array*> ArrayField(const boost::json::object& object,
                                                     absl::string_view key,
                                                     absl::string_view where);

// A whole number from 0 to kMaxTokenId.
std::optional<int32_t> AsTokenId(const boost::json::value& value);

inline absl::string_view View(const boost::json::string& text) {
  return {text.data(), text.size()};
}
inline absl::string_view View(boost::json::string_view text) { return {text.data(), text.size()}; }

}  // namespace skein
