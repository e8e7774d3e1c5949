#include "worker/adapters/plan_problems.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace skein {
namespace {

constexpr size_t kMaxListed = 8;
constexpr size_t kMaxNameBytes = 100;

std::string Listed(const std::vector<std::string>& items, absl::string_view separator) {
  const size_t listed = std::min(items.size(), kMaxListed);
  std::string text =
      absl::StrJoin(items.begin(), items.begin() + static_cast<ptrdiff_t>(listed), separator);
  if (items.size() > listed) absl::StrAppend(&text, " and ", items.size() - listed, " more");
  return text;
}

}  // namespace

std::string PrintableName(absl::string_view name) {
  if (name.size() <= kMaxNameBytes) return absl::Utf8SafeCEscape(name);
  return absl::StrCat(absl::CHexEscape(name.substr(0, kMaxNameBytes)), "...");
}

void PlanProblems::AddUnsupported(std::string problem) {
  ++unsupported_;
  Add(std::move(problem));
}

absl::Status PlanProblems::status() const {
  if (empty()) return absl::OkStatus();
  std::string text = Listed(problems_, "; ");
  if (!unknown_.empty()) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", unknown_.size(),
                    unknown_.size() == 1 ? " entry belongs" : " entries belong",
                    " to no tensor of this model: ", Listed(unknown_, ", "));
  }
  return unsupported_ == problems_.size() && unknown_.empty() ? absl::UnimplementedError(text)
                                                              : absl::InvalidArgumentError(text);
}

}  // namespace skein
