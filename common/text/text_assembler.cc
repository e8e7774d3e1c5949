#include "common/text/text_assembler.h"

#include <utility>

#include "common/text/stop_matcher.h"
#include "common/text/utf8.h"

namespace skein {

std::shared_ptr<const StopMatcher> MakeStopMatcher(const std::vector<std::string>& stop_strings) {
  return std::make_shared<const StopMatcher>(stop_strings);
}

TextAssembler::TextAssembler(std::shared_ptr<const StopMatcher> matcher, Options options)
    : matcher_(std::move(matcher)), options_(options) {}

std::string TextAssembler::Append(absl::string_view bytes, bool search_stop) {
  std::string pending = std::exchange(held_, std::string());
  if (matcher_ == nullptr || !search_stop) {
    matcher_state_ = 0;
    pending.append(bytes.data(), bytes.size());
    return Assemble(pending, false);
  }
  for (const char c : bytes) {
    pending.push_back(c);
    matcher_state_ = matcher_->Next(matcher_state_, static_cast<uint8_t>(c));
    const size_t length = matcher_->match_length(matcher_state_);
    if (length == 0) continue;
    stopped_ = true;
    matched_stop_ = pending.substr(pending.size() - length);
    if (!options_.include_stop) pending.resize(pending.size() - length);
    return Assemble(pending, true);
  }
  const size_t sendable = pending.size() - matcher_->depth(matcher_state_);
  held_ = pending.substr(sendable);
  pending.resize(sendable);
  return Assemble(pending, false);
}

std::string TextAssembler::Finish() {
  if (stopped_) return std::string();
  matcher_state_ = 0;
  return Assemble(std::exchange(held_, std::string()), true);
}

// `last`: an incomplete character at the end will not be finished any more.
std::string TextAssembler::Assemble(absl::string_view bytes, bool last) {
  partial_.append(bytes.data(), bytes.size());
  absl::string_view rest = partial_;
  if (options_.strip_leading_space && at_start_) {
    while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    at_start_ = rest.empty();
  }
  std::string text;
  while (!rest.empty()) {
    const size_t valid = ValidUtf8Prefix(rest);
    text.append(rest.data(), valid);
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Utf8Char broken = FirstUtf8Char(rest);
    if (broken.kind == Utf8Char::kIncomplete && !last) break;
    text.append(kReplacement.data(), kReplacement.size());
    rest.remove_prefix(broken.length);
  }
  partial_ = std::string(rest);
  return text;
}

}  // namespace skein
