#include "worker/weights/json_events.h"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include <boost/json/basic_parser_impl.hpp>

#include "common/base/status_macros.h"

namespace skein {
namespace {

namespace json = boost::json;
using ErrorCode = json::error_code;

// What boost::json::basic_parser calls. Errors go into `status`; any error code stops the parser.
class Handler {
 public:
  // NOLINTBEGIN(readability-identifier-naming): the parser asks for these names
  static constexpr size_t max_object_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_array_size = std::numeric_limits<size_t>::max();
  static constexpr size_t max_key_size = 64 << 10;
  static constexpr size_t max_string_size = std::numeric_limits<size_t>::max();
  // NOLINTEND(readability-identifier-naming)

  explicit Handler(absl::FunctionRef<absl::Status(const JsonEvent&)> visit) : visit_(visit) {}

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_object_begin(ErrorCode& error) { return Begin(JsonEvent::kBeginObject, error); }
  bool on_object_end(size_t, ErrorCode& error) { return End(JsonEvent::kEndObject, error); }
  bool on_array_begin(ErrorCode& error) { return Begin(JsonEvent::kBeginArray, error); }
  bool on_array_end(size_t, ErrorCode& error) { return End(JsonEvent::kEndArray, error); }

  bool on_key_part(json::string_view part, size_t, ErrorCode&) { return Append(part); }
  bool on_key(json::string_view part, size_t, ErrorCode& error) {
    Append(part);
    std::string key = std::exchange(text_, std::string());
    if (!keys_.back().insert(key).second) {
      return Check(absl::DataLossError(absl::StrCat("key \"", absl::Utf8SafeCEscape(key),
                                                    "\" appears twice in one object")),
                   error);
    }
    return Emit(JsonEvent::kKey, error, key);
  }
  bool on_string_part(json::string_view part, size_t, ErrorCode&) { return Append(part); }
  bool on_string(json::string_view part, size_t, ErrorCode& error) {
    Append(part);
    const std::string text = std::exchange(text_, std::string());
    return Emit(JsonEvent::kString, error, text);
  }
  bool on_number_part(json::string_view, ErrorCode&) { return true; }
  bool on_int64(int64_t value, json::string_view, ErrorCode& error) {
    return Emit(JsonEvent::kInteger, error, {}, value);
  }
  bool on_uint64(uint64_t, json::string_view, ErrorCode& error) { return Other(error); }
  bool on_double(double, json::string_view, ErrorCode& error) { return Other(error); }
  bool on_bool(bool, ErrorCode& error) { return Other(error); }
  bool on_null(ErrorCode& error) { return Other(error); }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }

  const absl::Status& status() const { return status_; }

 private:
  bool Append(json::string_view part) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool Begin(JsonEvent::Kind kind, ErrorCode& error) {
    if (!Emit(kind, error)) return false;
    keys_.emplace_back();
    return true;
  }
  bool End(JsonEvent::Kind kind, ErrorCode& error) {
    keys_.pop_back();
    return Emit(kind, error);
  }
  bool Other(ErrorCode& error) { return Emit(JsonEvent::kOther, error); }
  bool Emit(JsonEvent::Kind kind, ErrorCode& error, absl::string_view text = {},
            int64_t number = 0) {
    return Check(visit_({kind, static_cast<int>(keys_.size()), text, number}), error);
  }
  // True if `status` is not an error.
  bool Check(absl::Status status, ErrorCode& error) {
    if (status.ok()) return true;
    status_ = std::move(status);
    error = json::error::syntax;
    return false;
  }

  absl::FunctionRef<absl::Status(const JsonEvent&)> visit_;
  std::vector<absl::flat_hash_set<std::string>> keys_;  // of each open container
  std::string text_;                                    // a key or string that comes in parts
  absl::Status status_;
};

}  // namespace

absl::Status ParseJsonEvents(absl::string_view text, int max_depth,
                             absl::FunctionRef<absl::Status(const JsonEvent&)> visit) {
  json::parse_options options;
  options.max_depth = static_cast<size_t>(max_depth);
  json::basic_parser<Handler> parser(options, visit);
  ErrorCode error;
  const size_t used = parser.write_some(false, text.data(), text.size(), error);
  RETURN_IF_ERROR(parser.handler().status());
  if (!error && used < text.size()) error = json::error::extra_data;
  if (error) {
    return absl::DataLossError(
        absl::StrCat("not valid JSON at byte ", used, ": ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace skein
