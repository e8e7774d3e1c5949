// From token bytes to what a client may see: stop strings, then whole UTF-8 characters.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace skein {

// Stop strings of one request, compiled once and shared by its choices. Immutable.
class StopMatcher;
std::shared_ptr<const StopMatcher> MakeStopMatcher(const std::vector<std::string>& stop_strings);

// Copyable: a fork of a sequence copies its assembler. Calls follow: Append* Finish.
class TextAssembler {
 public:
  struct Options {
    bool include_stop = false;         // a matched stop string stays in the text
    bool strip_leading_space = false;  // spaces at the very start of the reply are dropped
  };
  TextAssembler(std::shared_ptr<const StopMatcher> matcher, Options options);

  // Appends a token's bytes. Returns the text that may be sent now: all that cannot begin a stop
  // string and is whole characters. With `search_stop` false (before min_tokens) stop strings are
  // not looked for.
  std::string Append(absl::string_view bytes, bool search_stop = true);
  // After Append returned with stopped() true no more bytes may follow.
  bool stopped() const { return stopped_; }
  const std::string& matched_stop() const { return matched_stop_; }
  // What was held back, at the end of the reply: nothing after a match.
  std::string Finish();

 private:
  std::string Assemble(absl::string_view bytes, bool last);

  std::shared_ptr<const StopMatcher> matcher_;
  Options options_;
  int matcher_state_ = 0;
  std::string held_;     // bytes that may begin a stop string
  std::string partial_;  // an incomplete UTF-8 character
  std::string matched_stop_;
  bool stopped_ = false;
  bool at_start_ = true;
};

}  // namespace skein
