#include "gateway/endpoints/json_body.h"

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "boost/json/basic_parser_impl.hpp"
#include "boost/json/value.hpp"
#include "boost/json/value_stack.hpp"

#include "common/base/status_macros.h"
#include "gateway/endpoints/utf8.h"

namespace skein {
namespace {

namespace json = boost::json;
using ErrorCode = json::error_code;

absl::string_view View(json::string_view text) { return {text.data(), text.size()}; }

// Builds the value like Boost.JSON's own handler, and refuses what that one lets pass: it keeps the
// last of two equal keys, and a body of "[[[],[],..." may become fifty times its size.
class StrictHandler {
 public:
  // Boost.JSON asks for these names.
  // NOLINTBEGIN(readability-identifier-naming)
  static constexpr size_t max_object_size = 1 << 18;
  static constexpr size_t max_array_size = 1 << 22;
  static constexpr size_t max_key_size = 1 << 16;
  static constexpr size_t max_string_size = json::string::max_size();
  // NOLINTEND(readability-identifier-naming)

  StrictHandler() { stack_.reset(); }
  json::value Release() { return stack_.release(); }
  // Why parsing stopped, if this class stopped it.
  const std::string& complaint() const { return complaint_; }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_array_begin(ErrorCode& error) { return CountValue(error); }
  bool on_array_end(size_t size, ErrorCode&) {
    stack_.push_array(size);
    return true;
  }
  bool on_object_begin(ErrorCode& error) {
    keys_.emplace_back();
    return CountValue(error);
  }
  bool on_object_end(size_t size, ErrorCode&) {
    keys_.pop_back();
    stack_.push_object(size);
    return true;
  }
  bool on_key_part(json::string_view part, size_t, ErrorCode&) {
    key_.append(part.data(), part.size());
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, size_t, ErrorCode& error) {
    key_.append(part.data(), part.size());
    stack_.push_key(part);
    if (!keys_.back().insert(key_).second) {
      return Stop(absl::StrCat("the key \"", key_, "\" appears twice in one object"), error);
    }
    key_.clear();
    return true;
  }
  bool on_string_part(json::string_view part, size_t, ErrorCode&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, size_t, ErrorCode& error) {
    stack_.push_string(part);
    return CountValue(error);
  }
  bool on_number_part(json::string_view, ErrorCode&) { return true; }
  bool on_int64(int64_t value, json::string_view, ErrorCode& error) {
    stack_.push_int64(value);
    return CountValue(error);
  }
  bool on_uint64(uint64_t value, json::string_view, ErrorCode& error) {
    stack_.push_uint64(value);
    return CountValue(error);
  }
  bool on_double(double value, json::string_view, ErrorCode& error) {
    stack_.push_double(value);
    return CountValue(error);
  }
  bool on_bool(bool value, ErrorCode& error) {
    stack_.push_bool(value);
    return CountValue(error);
  }
  bool on_null(ErrorCode& error) {
    stack_.push_null();
    return CountValue(error);
  }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }

 private:
  bool Stop(std::string complaint, ErrorCode& error) {
    complaint_ = std::move(complaint);
    error = json::error::exception;
    return false;
  }
  bool CountValue(ErrorCode& error) {
    if (++num_values_ <= max_array_size) return true;
    return Stop(absl::StrCat("more than ", max_array_size, " values"), error);
  }

  json::value_stack stack_;
  std::vector<absl::flat_hash_set<std::string>> keys_;  // of the objects that are open
  std::string key_;
  std::string complaint_;
  size_t num_values_ = 0;
};

absl::Status BadBody(absl::string_view found) {
  return absl::InvalidArgumentError(absl::StrCat("body: ", found));
}

absl::StatusOr<json::value> Parse(absl::string_view body, uint32_t max_depth) {
  json::parse_options options;
  options.max_depth = max_depth;
  json::basic_parser<StrictHandler> parser(options);
  ErrorCode error;
  const size_t used = parser.write_some(/*more=*/false, body.data(), body.size(), error);
  if (!parser.handler().complaint().empty()) return BadBody(parser.handler().complaint());
  if (error == json::error::too_deep) {
    return BadBody(absl::StrCat("JSON nested deeper than ", max_depth, " levels at byte ", used));
  }
  if (error) {
    return BadBody(absl::StrCat("not valid JSON at byte ", used, ": ", error.message()));
  }
  if (used != body.size()) {
    return BadBody(absl::StrCat("text after the JSON value, from byte ", used));
  }
  return parser.handler().Release();
}

}  // namespace

absl::StatusOr<json::object> ParseJsonBody(absl::string_view body, uint32_t max_depth) {
  if (body.empty()) return BadBody("empty, expected a JSON object");
  if (const size_t valid = ValidUtf8Prefix(body); valid != body.size()) {
    return BadBody(absl::StrCat("not valid UTF-8 at byte ", valid));
  }
  try {
    ASSIGN_OR_RETURN(json::value value, Parse(body, max_depth));
    if (!value.is_object()) {
      return BadBody(
          absl::StrCat("JSON ", View(json::to_string(value.kind())), ", expected an object"));
    }
    return std::move(value.get_object());
  } catch (const std::exception& e) {
    return BadBody(absl::StrCat("not readable as JSON: ", e.what()));
  }
}

}  // namespace skein
