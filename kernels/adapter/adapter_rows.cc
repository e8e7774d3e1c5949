#include "kernels/adapter/adapter_rows.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace skein {
namespace {

absl::Status CheckModule(const AdapterModule& module, int64_t inputs, int64_t outputs) {
  RETURN_IF_ERROR(module.Validate());
  if (!module.unmerged()) {
    return absl::InvalidArgumentError(
        absl::StrCat(AdapterFormName(module.form), " can only be merged"));
  }
  if (module.form == AdapterForm::kNone || (module.inputs == inputs && module.outputs == outputs)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("module of ", module.outputs, " outputs and ",
                                                 module.inputs, " inputs, expected ", outputs,
                                                 " and ", inputs));
}

absl::Status CheckRows(const AdapterSegment& segment, int64_t free, int64_t rows) {
  if (segment.begin >= free && segment.count > 0 && segment.end() <= rows) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("segment of rows ", segment.begin, " to ",
                                                 segment.end(), ", expected a range from ", free,
                                                 " to ", rows));
}

absl::Status CheckStack(std::span<const AdapterSegment> stack) {
  int64_t column = 0;  // the first that no segment has yet
  for (size_t i = 0; i < stack.size(); ++i) {
    const AdapterSegment& segment = stack[i];
    if (segment.module == nullptr) return absl::InvalidArgumentError("segment without a module");
    const AdapterModule& module = *segment.module;
    if (i > 0 && !module.adds_only()) {
      return absl::InvalidArgumentError(absl::StrCat(
          AdapterFormName(module.form), " behind another module, expected in front of it"));
    }
    if (segment.column < column) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", segment.column, ", expected at least ", column));
    }
    column = segment.column + module.rank;
    if (segment.scale.has_value() && module.form != AdapterForm::kLowRank) {
      return absl::InvalidArgumentError(
          absl::StrCat("a scale of its own, but the module is ", AdapterFormName(module.form)));
    }
  }
  return absl::OkStatus();
}

}  // namespace

int64_t InnerColumns(std::span<const AdapterSegment> segments) {
  int64_t columns = 0;
  for (const AdapterSegment& segment : segments) {
    columns = std::max(columns, segment.column + segment.module->rank);
  }
  return columns;
}

std::span<const AdapterSegment> StackAt(std::span<const AdapterSegment> segments, size_t first) {
  size_t end = first + 1;
  while (end < segments.size() && segments[end].same_rows(segments[first])) ++end;
  return segments.subspan(first, end - first);
}

absl::Status CheckSegmentRows(std::span<const AdapterSegment> segments, int64_t rows) {
  int64_t free = 0;  // the first row that no stack has yet
  for (size_t i = 0; i < segments.size();) {
    const std::span<const AdapterSegment> stack = StackAt(segments, i);
    RETURN_IF_ERROR(CheckRows(stack[0], free, rows));
    RETURN_IF_ERROR(CheckStack(stack));
    free = stack[0].end();
    i += stack.size();
  }
  return absl::OkStatus();
}

absl::Status CheckSegments(std::span<const AdapterSegment> segments, int64_t rows, int64_t inputs,
                           int64_t outputs) {
  RETURN_IF_ERROR(CheckSegmentRows(segments, rows));
  for (const AdapterSegment& segment : segments) {
    RETURN_IF_ERROR(CheckModule(*segment.module, inputs, outputs));
  }
  return absl::OkStatus();
}

}  // namespace skein
