#include "worker/adapters/adapter.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_join.h"

namespace skein {

absl::string_view AdapterMethodName(AdapterMethod method) {
  switch (method) {
    case AdapterMethod::kLora:
      return "lora";
    case AdapterMethod::kPissa:
      return "pissa";
    case AdapterMethod::kDora:
      return "dora";
    case AdapterMethod::kDoraRows:
      return "dora_rows";
    case AdapterMethod::kBone:
      return "bone";
    case AdapterMethod::kMiss:
      return "miss";
    case AdapterMethod::kBat:
      return "bat";
    case AdapterMethod::kMole:
      return "mole";
    case AdapterMethod::kReplacement:
      return "replacement";
    case AdapterMethod::kState:
      return "state";
  }
  return "unknown";
}

const AdaptedLinear* Adapter::FindLinear(absl::string_view module) const {
  const auto found = std::lower_bound(
      linears.begin(), linears.end(), module,
      [](const AdaptedLinear& linear, absl::string_view name) { return linear.module < name; });
  return found != linears.end() && found->module == module ? &*found : nullptr;
}

const ReplacedTensor* Adapter::FindReplaced(absl::string_view name) const {
  const auto found = std::lower_bound(
      replaced.begin(), replaced.end(), name,
      [](const ReplacedTensor& tensor, absl::string_view n) { return tensor.name < n; });
  return found != replaced.end() && found->name == name ? &*found : nullptr;
}

bool Adapter::unmerged() const {
  return std::all_of(linears.begin(), linears.end(),
                     [](const AdaptedLinear& linear) { return linear.hooks.unmerged(); });
}

std::string Adapter::Methods() const {
  std::set<AdapterMethod> methods;
  for (const AdaptedLinear& linear : linears) methods.insert(linear.method);
  if (!channel_mixes.empty()) methods.insert(AdapterMethod::kMole);
  if (!replaced.empty()) methods.insert(AdapterMethod::kReplacement);
  if (!state.empty()) methods.insert(AdapterMethod::kState);
  return absl::StrJoin(methods, ", ", [](std::string* out, AdapterMethod method) {
    out->append(std::string(AdapterMethodName(method)));
  });
}

int64_t Adapter::bytes() const {
  const auto size = [](const std::unique_ptr<Arena>& arena) {
    return arena == nullptr ? 0 : static_cast<int64_t>(arena->bytes());
  };
  return size(memory) + size(state_memory);
}

}  // namespace skein
