#include "worker/registry/tuned_state_key.h"

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace skein {
namespace {

struct PartName {
  TunedStatePart part;
  const char* native;
  const char* hugging_face;
};
constexpr PartName kPartNames[] = {
    {TunedStatePart::kTimeState, "att.time_state", "self_attn.time_state"},
    {TunedStatePart::kTimeMixShift, "att.ts_state", "self_attn.ts_state"},
    {TunedStatePart::kChannelShift, "ffn.ts_state", "mlp.ts_state"},
    {TunedStatePart::kTimeOffset, "att.time_offset", "self_attn.time_offset"},
    {TunedStatePart::kTimeOffsetY, "att.time_offset_y", "self_attn.time_offset_y"},
    {TunedStatePart::kTimeOffset2, "att.time_offset2", "self_attn.time_offset2"},
};

// Takes "12." off `text`. Numbers are written in one way only, and short enough to count layers.
std::optional<int64_t> ConsumeLayer(absl::string_view& text) {
  constexpr size_t kMaxDigits = 6;
  const size_t end = text.find('.');
  if (end == absl::string_view::npos || end == 0 || end > kMaxDigits) return std::nullopt;
  const absl::string_view digits = text.substr(0, end);
  for (const char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  int64_t layer = 0;
  if (!absl::SimpleAtoi(digits, &layer)) return std::nullopt;
  text.remove_prefix(end + 1);
  return layer;
}

}  // namespace

std::optional<TunedStateKey> ParseTunedStateKey(absl::string_view name) {
  absl::ConsumePrefix(&name, "base_model.");
  for (int i = 0; i < 2; ++i) absl::ConsumePrefix(&name, "model.");
  const bool native = absl::ConsumePrefix(&name, "blocks.");
  if (!native && !absl::ConsumePrefix(&name, "layers.")) return std::nullopt;
  const std::optional<int64_t> layer = ConsumeLayer(name);
  if (!layer.has_value()) return std::nullopt;
  for (const PartName& part : kPartNames) {
    if (name == (native ? part.native : part.hugging_face)) {
      return TunedStateKey{part.part, *layer};
    }
  }
  return std::nullopt;
}

std::string TunedStateKeyName(const TunedStateKey& key) {
  for (const PartName& part : kPartNames) {
    if (part.part == key.part) return absl::StrCat("blocks.", key.layer, ".", part.native);
  }
  return "";
}

}  // namespace skein
