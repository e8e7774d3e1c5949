#include "worker/engine/adapter_merge.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "worker/adapters/adapter_name.h"
#include "worker/adapters/load_adapter.h"
#include "worker/adapters/merge.h"

namespace skein {
namespace {

absl::Status Labelled(const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("merged_adapter: ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<std::unique_ptr<AdapterMerge>> AdapterMerge::Open(const MergedAdapterSource& source,
                                                                 const ModelFiles& files,
                                                                 int num_threads) {
  std::unique_ptr<AdapterMerge> merge(new AdapterMerge(files, num_threads));
  absl::StatusOr<Adapter> adapter =
      LoadAdapter(source.path, source.options, merge->base_, merge->threads_);
  if (!adapter.ok()) return Labelled(adapter.status());
  if (!adapter->channel_mixes.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("merged_adapter: ", source.name,
                     " is a mixture of experts, expected an adapter that changes weights: "
                     "register it and choose it in requests"));
  }
  if (adapter->linears.empty() && adapter->replaced.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("merged_adapter: ", source.name, " changes no weights"));
  }
  merge->adapter_ = *std::move(adapter);
  return merge;
}

absl::StatusOr<std::optional<std::vector<float>>> AdapterMerge::Merged(const std::string& name) {
  const std::string native = NativeName(name);
  const absl::string_view module = absl::StripSuffix(native, ".weight");
  const bool is_weight = module.size() < native.size();
  const bool changed = is_weight && adapter_.FindLinear(module) != nullptr;
  if (!changed && adapter_.FindReplaced(native) == nullptr) return std::nullopt;
  used_.insert(native);
  ASSIGN_OR_RETURN(std::vector<float> values, MergedTensor(adapter_, native, base_, threads_));
  return values;
}

absl::Status AdapterMerge::CheckUsed() const {
  for (const AdaptedLinear& linear : adapter_.linears) {
    if (used_.contains(linear.module + ".weight")) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("merged_adapter: ", linear.module, ": no layer of this model"));
  }
  for (const ReplacedTensor& tensor : adapter_.replaced) {
    if (used_.contains(tensor.name)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("merged_adapter: ", tensor.name, ": no tensor of this model"));
  }
  return absl::OkStatus();
}

}  // namespace skein
