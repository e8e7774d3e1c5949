#include "gateway/rwkv_infer/renamed_fields.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "gateway/endpoints/errors.h"

namespace skein {

absl::Status WithRenamedField(const absl::Status& status, FieldNames names) {
  for (const auto& [ours, theirs] : names) {
    const absl::string_view message = status.message();
    if (!absl::StartsWith(message, ours)) continue;
    const absl::string_view rest = message.substr(ours.size());
    if (!absl::StartsWith(rest, ": ") && !absl::StartsWith(rest, "[")) continue;
    return WithParam(absl::Status(status.code(), absl::StrCat(theirs, rest)), theirs);
  }
  return status;
}

}  // namespace skein
