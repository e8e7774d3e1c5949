// A regular expression of a tokenizer.json: written for Oniguruma, run by PCRE2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;

namespace skein {

// The same pattern for PCRE2 with Unicode properties. \s and \S become the White_Space set, because
// PCRE2's own takes U+180E too. Unimplemented for the few things that the two read differently: \h,
// \H, a \S or a nested set inside of a set, set intersection.
absl::StatusOr<std::string> TranslatePattern(absl::string_view pattern);

// Immutable and thread-safe once compiled.
class Pattern {
 public:
  struct Match {
    size_t begin, end;  // in bytes, end > begin
  };

  // InvalidArgument, with the place, if PCRE2 cannot compile it.
  static absl::StatusOr<Pattern> Compile(absl::string_view pattern);
  // What matches exactly `text`, which must not be empty.
  static absl::StatusOr<Pattern> Literal(absl::string_view text);

  // One search after another in one text, left to right. Not thread-safe.
  class Matcher {
   public:
    // `text` must be valid UTF-8 and outlive the matcher, as must `pattern`.
    Matcher(const Pattern& pattern, absl::string_view text);
    // The next match that is not empty. False at the end of the text, and where the search would
    // take more than ten million steps, as only a pattern made for that does: what is left then has
    // no match.
    bool Next(Match* match);

   private:
    struct FreeMatchData {
      void operator()(pcre2_real_match_data_8* data) const;
    };
    int Search(uint32_t options);

    const Pattern& pattern_;
    absl::string_view text_;
    std::unique_ptr<pcre2_real_match_data_8, FreeMatchData> data_;
    size_t pos_ = 0;
  };

 private:
  struct FreeCode {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, FreeCode> code_;
};

}  // namespace skein
