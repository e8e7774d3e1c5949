#define PCRE2_CODE_UNIT_WIDTH 8

#include "common/text/pattern.h"

#include <cstdint>

#include <pcre2.h>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/text/utf8.h"

namespace skein {
namespace {

constexpr absl::string_view kSpaceSet = "\\x{9}-\\x{d}\\x{20}\\x{85}\\p{Z}";

absl::Status Different(absl::string_view what) {
  return absl::UnimplementedError(absl::StrCat("a pattern with ", what));
}

// An escape `\c` outside (`in_set` false) or inside of a set.
absl::Status TranslateEscape(char c, bool in_set, std::string* out) {
  if (c == 'h' || c == 'H') return Different("\\h");
  if (c == 'S' && in_set) return Different("\\S inside of a set");
  if (c == 's' && in_set) {
    absl::StrAppend(out, kSpaceSet);
  } else if (c == 's' || c == 'S') {
    absl::StrAppend(out, c == 's' ? "[" : "[^", kSpaceSet, "]");
  } else {
    out->append({'\\', c});
  }
  return absl::OkStatus();
}

// How much of `rest`, which begins with no escape, is copied in one go inside of a set.
absl::StatusOr<size_t> TakenInSet(absl::string_view rest) {
  if (absl::StartsWith(rest, "&&")) return Different("an intersection of sets");
  if (rest[0] != '[') return 1;
  const size_t end = rest.find(":]");  // of a class such as [:alpha:]
  if (absl::StartsWith(rest, "[:") && end != absl::string_view::npos) return end + 2;
  return Different("a set inside of a set");
}

// Outside of sets. The opening of one includes its negation, and a bracket that stands for itself.
absl::StatusOr<size_t> TakenOutside(absl::string_view rest) {
  if (rest[0] != '[') return 1;
  const size_t length = absl::StartsWith(rest, "[^") ? 2 : 1;
  return absl::StartsWith(rest.substr(length), "]") ? length + 1 : length;
}

const uint8_t* Bytes(absl::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// The limit on the steps of one search; one context serves all threads, which only read it.
pcre2_match_context* MatchLimits() {
  static pcre2_match_context* const limits = [] {
    pcre2_match_context* context = pcre2_match_context_create(nullptr);
    SKEIN_CHECK(context != nullptr);
    pcre2_set_match_limit(context, 10'000'000);
    return context;
  }();
  return limits;
}

}  // namespace

absl::StatusOr<std::string> TranslatePattern(absl::string_view pattern) {
  std::string out;
  bool in_set = false;
  while (!pattern.empty()) {
    const char c = pattern[0];
    if (c == '\\' && pattern.size() > 1) {
      RETURN_IF_ERROR(TranslateEscape(pattern[1], in_set, &out));
      pattern.remove_prefix(2);
      continue;
    }
    ASSIGN_OR_RETURN(const size_t length, in_set ? TakenInSet(pattern) : TakenOutside(pattern));
    absl::StrAppend(&out, pattern.substr(0, length));
    pattern.remove_prefix(length);
    in_set = in_set ? c != ']' : c == '[';
  }
  return out;
}

absl::StatusOr<Pattern> Pattern::Compile(absl::string_view pattern) {
  ASSIGN_OR_RETURN(const std::string translated, TranslatePattern(pattern));
  int error = 0;
  size_t offset = 0;
  // Oniguruma's ^ and $ are those of lines.
  constexpr uint32_t kOptions = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
  Pattern compiled;
  compiled.code_.reset(
      pcre2_compile(Bytes(translated), translated.size(), kOptions, &error, &offset, nullptr));
  if (compiled.code_ == nullptr) {
    uint8_t message[160] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return absl::InvalidArgumentError(absl::StrCat("pattern ", pattern, ": ",
                                                   reinterpret_cast<const char*>(message),
                                                   " at byte ", offset, " of ", translated));
  }
  // Without the compiler for this machine the interpreter serves, at a fraction of the speed.
  pcre2_jit_compile(compiled.code_.get(), PCRE2_JIT_COMPLETE);
  return compiled;
}

absl::StatusOr<Pattern> Pattern::Literal(absl::string_view text) {
  if (text.empty()) return absl::InvalidArgumentError("an empty pattern");
  int error = 0;
  size_t offset = 0;
  Pattern compiled;
  compiled.code_.reset(
      pcre2_compile(Bytes(text), text.size(), PCRE2_UTF | PCRE2_LITERAL, &error, &offset, nullptr));
  if (compiled.code_ == nullptr) return absl::InvalidArgumentError("a pattern that is not UTF-8");
  pcre2_jit_compile(compiled.code_.get(), PCRE2_JIT_COMPLETE);
  return compiled;
}

void Pattern::FreeCode::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

Pattern::Matcher::Matcher(const Pattern& pattern, absl::string_view text)
    : pattern_(pattern),
      text_(text),
      data_(pcre2_match_data_create_from_pattern(pattern.code_.get(), nullptr)) {
  SKEIN_CHECK(data_ != nullptr);
}

void Pattern::Matcher::FreeMatchData::operator()(pcre2_real_match_data_8* data) const {
  pcre2_match_data_free(data);
}

int Pattern::Matcher::Search(uint32_t options) {
  return pcre2_match(pattern_.code_.get(), Bytes(text_), text_.size(), pos_, options, data_.get(),
                     MatchLimits());
}

bool Pattern::Matcher::Next(Match* match) {
  while (pos_ < text_.size()) {
    // The check of UTF-8 would go over the whole text again for each match.
    constexpr uint32_t kOptions = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY;
    int count = Search(kOptions);
    // The compiled form has a small stack; the interpreter's is on the heap.
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) count = Search(kOptions | PCRE2_NO_JIT);
    if (count < 0) break;
    const size_t* bounds = pcre2_get_ovector_pointer(data_.get());
    *match = {bounds[0], bounds[1]};
    // \K in a look-ahead can set a start behind the end, or an end before the search's start.
    if (match->begin < pos_ || match->end <= match->begin) break;
    pos_ = match->end;
    return true;
  }
  pos_ = text_.size();
  return false;
}

}  // namespace skein
