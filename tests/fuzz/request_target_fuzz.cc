// The target of a request line, and what a client sends as its request id.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

#include "gateway/endpoints/utf8.h"
#include "gateway/http/request_id.h"
#include "gateway/http/request_target.h"
#include "tests/fuzz/fuzz.h"

namespace {

using skein::fuzz::Require;

std::string EscapedPath(absl::string_view path) {
  std::string text;
  for (const char c : path) {
    if (c == '/') {
      text.push_back(c);
    } else {
      absl::StrAppendFormat(&text, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return text;
}

void CheckTarget(const skein::RequestTarget& target) {
  const std::string& path = target.path;
  if (path == "*") return Require(target.query.empty(), "'*' has no query");
  Require(absl::StartsWith(path, "/"), "a path starts with a slash", path);
  Require(skein::IsValidUtf8(path), "a path is UTF-8", path);
  for (const char c : path) {
    Require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a path has no control characters");
  }
  for (const absl::string_view segment : absl::StrSplit(path, '/')) {
    Require(segment != "." && segment != "..", "a path climbs nowhere", path);
  }
  const auto again = skein::ParseRequestTarget(absl::StrCat(EscapedPath(path), "?", target.query));
  Require(again.ok(), "a path that was escaped is one", again.status().ToString());
  Require(again->path == path && again->query == target.query, "escaping changes nothing", path);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text = skein::fuzz::Text(data, size);
  const auto target = skein::ParseRequestTarget(text);
  if (target.ok()) {
    CheckTarget(*target);
  } else {
    skein::fuzz::RequireFailure(target.status(), {absl::StatusCode::kInvalidArgument});
  }
  if (skein::IsSaneRequestId(text)) {
    Require(text.find_first_of(absl::string_view("\r\n \"\0", 5)) == absl::string_view::npos,
            "an id breaks neither headers nor log lines");
  }
  return 0;
}
