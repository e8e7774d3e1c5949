#include "worker/weights/pickle_stack.h"

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {

absl::Status PickleStack::Push(PickleValue value) {
  if (values_.size() == kMaxHeight) {
    return absl::DataLossError(absl::StrCat("more than ", kMaxHeight, " values on the stack"));
  }
  values_.push_back(value);
  return absl::OkStatus();
}

absl::StatusOr<PickleValue> PickleStack::Top() const {
  if (values_.size() == (marks_.empty() ? 0 : marks_.back())) {
    return absl::DataLossError("the stack is empty");
  }
  return values_.back();
}

absl::StatusOr<PickleValue> PickleStack::TopOf(PickleKind kind) const {
  ASSIGN_OR_RETURN(const PickleValue value, Top());
  if (value.kind == kind) return value;
  return absl::DataLossError(
      absl::StrCat("found ", PickleKindName(value.kind), ", expected ", PickleKindName(kind)));
}

absl::StatusOr<PickleValue> PickleStack::Pop() {
  ASSIGN_OR_RETURN(const PickleValue value, Top());
  values_.pop_back();
  return value;
}

absl::Status PickleStack::Mark() {
  if (marks_.size() == kMaxHeight) {
    return absl::DataLossError(absl::StrCat("more than ", kMaxHeight, " marks on the stack"));
  }
  marks_.push_back(values_.size());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PickleValue>> PickleStack::PopToMark() {
  if (marks_.empty()) return absl::DataLossError("no mark on the stack");
  const auto first = values_.begin() + static_cast<ptrdiff_t>(marks_.back());
  std::vector<PickleValue> items(first, values_.end());
  values_.erase(first, values_.end());
  marks_.pop_back();
  return items;
}

absl::Status PickleStack::Store(uint32_t index) {
  if (index >= kMaxMemo) {
    return absl::DataLossError(absl::StrCat("memo ", index, ", expected less than ", kMaxMemo));
  }
  ASSIGN_OR_RETURN(const PickleValue value, Top());
  if (index >= memo_.size()) memo_.resize(index + 1);
  memo_[index] = value;
  return absl::OkStatus();
}

absl::Status PickleStack::Fetch(uint32_t index) {
  if (index >= memo_.size() || memo_[index].kind == PickleKind::kUnset) {
    return absl::DataLossError(absl::StrCat("memo ", index, " was never stored"));
  }
  return Push(memo_[index]);
}

absl::StatusOr<PickleValue> PickleStack::Single() const {
  if (values_.size() == 1 && marks_.empty()) return values_.front();
  return absl::DataLossError(absl::StrCat(values_.size(), " values and ", marks_.size(),
                                          " marks are left, expected one value"));
}

}  // namespace skein
