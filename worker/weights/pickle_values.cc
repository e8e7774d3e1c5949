#include "worker/weights/pickle_values.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace skein {
namespace {

bool IsContainer(PickleKind kind) {
  return kind == PickleKind::kTuple || kind == PickleKind::kList || kind == PickleKind::kDict;
}

absl::Status TooMany(absl::string_view what, size_t limit) {
  return absl::DataLossError(absl::StrCat("more than ", limit, " ", what));
}

}  // namespace

absl::string_view PickleKindName(PickleKind kind) {
  switch (kind) {
    case PickleKind::kUnset:
      return "nothing";
    case PickleKind::kNone:
      return "None";
    case PickleKind::kBool:
      return "a bool";
    case PickleKind::kInt:
      return "an integer";
    case PickleKind::kFloat:
      return "a float";
    case PickleKind::kString:
      return "a string";
    case PickleKind::kTuple:
      return "a tuple";
    case PickleKind::kList:
      return "a list";
    case PickleKind::kDict:
      return "a dict";
    case PickleKind::kGlobal:
      return "a global";
    case PickleKind::kStorage:
      return "a storage";
    case PickleKind::kTensor:
      return "a tensor";
  }
  return "nothing";
}

absl::StatusOr<PickleValue> PickleValues::NewContainer(PickleKind kind) {
  SKEIN_CHECK(IsContainer(kind));
  if (containers_.size() == kMaxContainers) return TooMany("containers", kMaxContainers);
  containers_.emplace_back();
  return PickleValue{kind, 0, static_cast<int64_t>(containers_.size()) - 1};
}

absl::Status PickleValues::Append(PickleValue container, PickleValue item) {
  SKEIN_CHECK(IsContainer(container.kind));
  if (num_items_ == kMaxItems) return TooMany("items", kMaxItems);
  const int item_depth = IsContainer(item.kind) ? containers_[item.number].depth : 0;
  if (item_depth + 1 > kMaxDepth) {
    return absl::DataLossError(absl::StrCat("values are nested deeper than ", kMaxDepth));
  }
  Container& target = containers_[container.number];
  target.depth = std::max(target.depth, item_depth + 1);
  target.items.push_back(item);
  ++num_items_;
  return absl::OkStatus();
}

absl::Status PickleValues::SetItem(PickleValue dict, PickleValue key, PickleValue value) {
  if (key.kind != PickleKind::kString) {
    return absl::DataLossError(
        absl::StrCat("dict key is ", PickleKindName(key.kind), ", expected a string"));
  }
  RETURN_IF_ERROR(Append(dict, key));
  return Append(dict, value);
}

absl::StatusOr<PickleValue> PickleValues::NewStorage(PickleStorage storage) {
  if (storages_.size() == kMaxTensors) return TooMany("storages", kMaxTensors);
  storages_.push_back(storage);
  return PickleValue{PickleKind::kStorage, 0, static_cast<int64_t>(storages_.size()) - 1};
}

absl::StatusOr<PickleValue> PickleValues::NewTensor(PickleTensor tensor) {
  if (tensors_.size() == kMaxTensors) return TooMany("tensors", kMaxTensors);
  tensors_.push_back(std::move(tensor));
  return PickleValue{PickleKind::kTensor, 0, static_cast<int64_t>(tensors_.size()) - 1};
}

}  // namespace skein
