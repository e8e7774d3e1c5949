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

}  // namespace

int64_t MaxRank(std::span<const AdapterSegment> segments) {
  int64_t rank = 0;
  for (const AdapterSegment& segment : segments) rank = std::max(rank, segment.module->rank);
  return rank;
}

absl::Status CheckSegments(std::span<const AdapterSegment> segments, int64_t rows, int64_t inputs,
                           int64_t outputs) {
  int64_t free = 0;  // the first row that no segment has yet
  for (const AdapterSegment& segment : segments) {
    if (segment.module == nullptr) return absl::InvalidArgumentError("segment without a module");
    if (segment.begin < free || segment.count < 1 || segment.end() > rows) {
      return absl::InvalidArgumentError(absl::StrCat("segment of rows ", segment.begin, " to ",
                                                     segment.end(), ", expected a range from ",
                                                     free, " to ", rows));
    }
    free = segment.end();
    if (segment.scale.has_value() && segment.module->form != AdapterForm::kLowRank) {
      return absl::InvalidArgumentError(absl::StrCat("a scale of its own, but the module is ",
                                                     AdapterFormName(segment.module->form)));
    }
    RETURN_IF_ERROR(CheckModule(*segment.module, inputs, outputs));
  }
  return absl::OkStatus();
}

}  // namespace skein
