#include "worker/weights/pickle_input.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {

absl::StatusOr<absl::string_view> PickleInput::TakeText(uint64_t bytes) {
  if (!bytes_.Has(at_, bytes)) {
    return absl::DataLossError(
        absl::StrCat("wants ", bytes, " bytes, but the pickle ends at byte ", size()));
  }
  at_ += bytes;
  return bytes_.Text(at_ - bytes, bytes);
}

absl::StatusOr<uint64_t> PickleInput::TakeInteger(int bytes) {
  ASSIGN_OR_RETURN(const absl::string_view text, TakeText(static_cast<uint64_t>(bytes)));
  uint64_t value = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
  }
  return value;
}

absl::StatusOr<absl::string_view> PickleInput::TakeLine(uint64_t max_bytes) {
  const absl::string_view text = bytes_.Text(at_, std::min(size() - at_, max_bytes));
  const size_t end = text.find('\n');
  if (end == absl::string_view::npos) {
    return absl::DataLossError(absl::StrCat("no end of line within ", text.size(), " bytes"));
  }
  at_ += end + 1;
  return text.substr(0, end);
}

}  // namespace skein
