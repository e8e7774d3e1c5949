#include "worker/registry/entry.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/text/utf8.h"
#include "kernels/sample/sampling_params.h"

namespace skein {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr absl::string_view kInside = " ._-+/";

bool IsOuter(char c) { return absl::ascii_isalnum(c) || (c & 0x80) != 0; }

}  // namespace

absl::string_view EntryKindName(EntryKind kind) {
  switch (kind) {
    case EntryKind::kState:
      return "state";
    case EntryKind::kMixture:
      return "mixture";
    case EntryKind::kAdapter:
      return "adapter";
  }
  return "unknown";
}

absl::Status CheckEntryName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: ", name.size(), " bytes, expected 1 to ", kMaxNameBytes));
  }
  bool good = ValidUtf8Prefix(name) == name.size() && IsOuter(name.front()) && IsOuter(name.back());
  for (const char c : name) good = good && (IsOuter(c) || absl::StrContains(kInside, c));
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("name: \"", absl::Utf8SafeCHexEscape(name),
                   "\", expected letters and digits, with blanks and . _ - + / between them"));
}

absl::Status CheckDefaults(const SamplingDefaults& defaults) {
  SamplingParams params;
  params.temperature = defaults.temperature.value_or(params.temperature);
  params.top_p = defaults.top_p.value_or(params.top_p);
  const absl::Status status = params.Validate(/*vocab_size=*/0);
  if (status.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("defaults.", status.message()));
}

}  // namespace skein
