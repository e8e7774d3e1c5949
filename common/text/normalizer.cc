#include "common/text/normalizer.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <utf8proc.h>

#include "common/base/check.h"
#include "common/text/utf8.h"

namespace skein {
namespace {

// Characters below U+0300 neither combine nor decompose under NFC, and their UTF-8 has no byte from
// 0xCC on.
bool IsPlain(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<uint8_t>(c) < 0xCC; });
}

void AppendDecomposed(char32_t code, std::vector<utf8proc_int32_t>* out) {
  utf8proc_int32_t parts[8];  // canonical decompositions have four characters at most
  int last_boundclass = 0;
  const auto count = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(code), parts, 8,
      static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | UTF8PROC_STABLE), &last_boundclass);
  SKEIN_CHECK(count >= 0 && count <= 8);
  out->insert(out->end(), parts, parts + count);
}

int CombiningClass(utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; }

// The canonical order of marks. utf8proc's own ordering takes quadratic time in the length of a
// run.
void OrderMarks(std::vector<utf8proc_int32_t>* codes) {
  auto begin = codes->begin();
  while (begin != codes->end()) {
    const auto is_mark = [](utf8proc_int32_t code) { return CombiningClass(code) != 0; };
    begin = std::find_if(begin, codes->end(), is_mark);
    const auto end = std::find_if_not(begin, codes->end(), is_mark);
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return CombiningClass(a) < CombiningClass(b);
    });
    begin = end;
  }
}

}  // namespace

std::string NormalizeNfc(absl::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::vector<utf8proc_int32_t> codes;
  codes.reserve(text.size());
  for (absl::string_view rest = text; !rest.empty();) {
    const Utf8Char c = FirstUtf8Char(rest);
    AppendDecomposed(c.code, &codes);
    rest.remove_prefix(c.length);
  }
  OrderMarks(&codes);
  const auto length =
      utf8proc_normalize_utf32(codes.data(), static_cast<utf8proc_ssize_t>(codes.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  SKEIN_CHECK(length >= 0);
  std::string normalized;
  normalized.reserve(text.size());
  for (utf8proc_ssize_t i = 0; i < length; ++i) {
    AppendUtf8(static_cast<char32_t>(codes[i]), &normalized);
  }
  return normalized;
}

}  // namespace skein
